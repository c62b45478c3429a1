"""An answer as JSON, CSV, Parquet or an Arrow stream: which one a client wants, and its bytes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd
from fastapi import Request

from otc_assets.research.extract import chunks, frame_batch
from otc_assets.serving.arguments import FORMATS
from otc_assets.serving.problems import Problem

ANY = ("*/*", "application/*")


def format_of(request: Request, named: str | None) -> str:
    """Return the format that an argument names, or else the one that Accept prefers.

    Raises:
        Problem: 422 for a name that is none, 406 if Accept allows none of ours.

    """
    if named is not None:
        if named not in FORMATS:
            raise Problem(422, f"no format {named!r}; there are {', '.join(FORMATS)}", "format")
        return named
    accepted = request.headers.get("accept", "*/*")
    by_type = {media: kind for kind, media in FORMATS.items()} | {"text/*": "csv"}
    for media in _preferred(accepted):
        if media in by_type:
            return by_type[media]
        if media in ANY:
            return "json"
    allowed = ", ".join(FORMATS.values())
    raise Problem(406, f"no answer is of a type that Accept names; there are {allowed}", "Accept")


def _preferred(accepted: str) -> list[str]:
    """Return the media types of an Accept header, the most wanted first."""
    ranked = []
    for entry in accepted.split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            weight = float(quality)
        except ValueError:
            weight = 0.0
        if weight > 0:
            ranked.append((-weight, media.count("*"), media))
    return [media for _, _, media in sorted(ranked, key=lambda each: each[:2])]


def body_of(kind: str, rows: pd.DataFrame, meta: Mapping[str, Any]) -> bytes:
    """Return rows in a format; JSON and the schemas of Parquet and Arrow say ``meta`` too."""
    if kind == "json":
        return orjson.dumps({"meta": meta, "data": records(rows)}, default=str)
    about = {name: str(value) for name, value in meta.items() if value not in (None, [])}
    return b"".join(chunks(kind, frame_batch(rows, about)))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them: days as text, null for what is not known."""
    names = [str(name) for name in rows.columns]
    columns = [_values(values) for _, values in rows.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(values: "pd.Series[Any]") -> list[Any]:
    """Return the values of a column as orjson takes them, column by column, which is faster."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return [None if pd.isna(moment) else moment.isoformat() for moment in values]
    if values.dtype.kind == "M":
        days = np.datetime_as_string(values.to_numpy("datetime64[D]")).tolist()
        return [None if day == "NaT" else day for day in days]
    if values.dtype.kind in "fib" and isinstance(values.dtype, np.dtype):
        return values.tolist()  # orjson writes NaN as null
    if values.dtype == object:
        return [None if value is pd.NA or value is pd.NaT else value for value in values]
    plain: list[Any] = values.array.to_numpy(dtype=object, na_value=None).tolist()
    return plain
