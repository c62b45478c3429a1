"""Prints frames: a table for people, CSV into a pipe, JSON where a script asks for it."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click
import pandas as pd

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def print_frame(frame: pd.DataFrame, *, as_json: bool, colours: Mapping[int, str] = {}) -> None:
    """Print the rows of a frame on standard output.

    Args:
        frame: what to print; null is printed as nothing.
        as_json: print a JSON array of objects.
        colours: of rows by their number, on a terminal.

    """
    if as_json:
        click.echo(json.dumps(records(frame), indent=2, default=str))
    elif sys.stdout.isatty():
        _print_table(frame, colours)
    else:
        click.echo(_plain(frame).to_csv(index=False), nl=False)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as JSON has them: days as text, null for what is not known."""
    return [
        {str(name): _json_value(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _json_value(value: Any) -> Any:
    if isinstance(value, list):
        return value
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.item() if hasattr(value, "item") else value


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with whole numbers as whole numbers, and lists as words."""
    columns = {}
    for name, values in frame.items():
        kept = [_json_value(value) for value in values]
        texts = (" ".join(value) if isinstance(value, list) else value for value in kept)
        columns[name] = pd.Series(texts, index=frame.index, dtype=object)
    return pd.DataFrame(columns)


def _print_table(frame: pd.DataFrame, colours: Mapping[int, str]) -> None:
    cells = _plain(frame).map(_cell)
    names = [str(name).replace("_", " ") for name in cells.columns]
    widths = [
        max(len(name), *(len(cell) for cell in cells.iloc[:, at])) if len(cells) else len(name)
        for at, name in enumerate(names)
    ]
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    click.secho(_line(names, widths, numeric), bold=True)
    for number, row in enumerate(cells.itertuples(index=False)):
        click.secho(_line(list(row), widths, numeric), fg=colours.get(number))


def _line(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return "  ".join(padded).rstrip()


def _cell(value: Any) -> str:
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
