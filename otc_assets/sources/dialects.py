"""The dialects in which FINRA's weekly files come; here their columns get our names.

A dialect is recognised by its header alone. Every value stays text until it has been judged line
by line (`otc_assets.domain.rejects`).
"""

import codecs
import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from otc_assets.domain.datasets import Dataset, every_dataset
from otc_assets.domain.rejects import RejectReason
from otc_assets.domain.tiers import Tier
from otc_assets.sources.errors import SourceError

DATES = ("publication_date", "revision_date")
"""Columns that a source may lack: then FINRA's calendar says when a slice was published."""


@dataclass(frozen=True, eq=False)
class Dialect:
    """One form of file: what its columns are called here."""

    name: str
    renames: dict[str, str]
    """The source's column to ours."""
    optional: frozenset[str] = frozenset()
    """Columns, by our names, that a file may lack."""
    tiers: Mapping[str, str] | None = None
    """Other spellings of tiers that it uses, and ours; None: `TIER_ALIASES`."""
    day: str | None = None
    """The column, by our name, whose days read 20250516. Then a last line has the number of rows,
    which has to be that of the others."""

    def lacks(self, header: list[str]) -> list[str]:
        """Return the source's names of the columns that this dialect needs and a header has not."""
        there = {self.renames[column] for column in header if column in self.renames}
        return [c for c, ours in self.renames.items() if ours not in there | self.optional]

    def renamed(self, columns: Mapping[str, Any]) -> pd.DataFrame:
        """Return the columns that are known, each a list or an Arrow array, as text.

        Where the source has two for one of ours, the one that `renames` has first counts.
        """
        ours: dict[str, pd.Series[str]] = {}
        for source, name in self.renames.items():
            if source in columns and name not in ours:
                ours[name] = _series(columns[source])
        return pd.DataFrame(ours)


FINRA_DOWNLOAD = Dialect(
    "FINRA download",
    {
        "tierDescription": "tier",
        "issueSymbolIdentifier": "symbol",
        "issueName": "issue_name",
        "marketParticipantName": "venue_name",
        "MPID": "mpid",
        "totalWeeklyShareQuantity": "share_volume",
        "totalWeeklyTradeCount": "trade_count",
        "lastUpdateDate": "revision_date",
        "weekStartDate": "week_start",
    },
    frozenset({"week_start"}),
)

QUERY_API = Dialect(
    "FINRA Query API (weeklySummary)",
    {
        **FINRA_DOWNLOAD.renames,
        "tierIdentifier": "tier",
        "productTypeCode": "product_type",
        "summaryTypeCode": "summary_type",
        "initialPublishedDate": "publication_date",
        "firmCRDNumber": "firm_crd",
        "totalNotionalSum": "notional",
        "lastReportedDate": "last_reported_date",
    },
    frozenset(
        {
            "mpid",  # non-ATS firms have none
            "product_type",
            "publication_date",
            "firm_crd",
            "notional",
            "last_reported_date",
        }
    ),
)

SIMPLE_PSV = Dialect(
    "simple PSV",
    {
        "WeekEnding": "week_ending",
        "Tier": "tier",
        "Symbol": "symbol",
        "MPID": "mpid",
        "TotalShares": "share_volume",
        "TotalTrades": "trade_count",
    },
)

DIALECTS = (QUERY_API, FINRA_DOWNLOAD, SIMPLE_PSV)
"""Those of the weekly datasets, whose rows say which of them they are of, or are of ATS."""


@cache
def dialect_of(dataset: Dataset) -> Dialect:
    """Return the form in which FINRA's Query API gives a dataset; its files have the same."""
    if dataset.fields is None:
        return QUERY_API
    optional = {column.name for column in dataset.content if column.nullable}
    return Dialect(
        f"FINRA Query API ({dataset.set_name})",
        {**dataset.fields},
        frozenset({*optional, *DATES, *(() if dataset.summary_type else ("summary_type",))}),
        {code: section for section, code in (dataset.section_codes or {}).items()},
    )


@cache
def dialects_of(dataset: Dataset) -> tuple[Dialect, ...]:
    """Return every form in which a dataset comes and no other does, or no other that says so."""
    mine = (dialect_of(dataset),)
    if dataset.file_fields is None:
        return mine
    fields = {**dataset.file_fields}
    day = next(ours for ours in fields.values() if ours == dataset.grain.start_column)
    return (*mine, Dialect(f"FINRA's files of {dataset.title} data", fields, day=day))


def dialects() -> tuple[Dialect, ...]:
    """Return every dialect, in the order in which a header is held against them."""
    own = (each for dataset in every_dataset() for each in dialects_of(dataset))
    return tuple(dict.fromkeys((*own, *DIALECTS)))


MAX_VALUES = 8_000_000
"""FINRA's largest slice has 2.8 million (170,000 rows of 17); each takes 200 bytes of memory."""

API_TIERS = {Tier.NMS_TIER_1: "T1", Tier.NMS_TIER_2: "T2", Tier.OTC: "OTCE"}
"""The Query API's tierIdentifier."""

TIER_ALIASES = {
    **{identifier: tier for tier, identifier in API_TIERS.items()},
    "NMS_TIER_1": Tier.NMS_TIER_1,
    "NMS_TIER_2": Tier.NMS_TIER_2,
}
"""Other spellings that sources use; nothing past the parser accepts them."""


@dataclass(frozen=True)
class Lines:
    """The data lines of a file, all values text: one row per line with the header's fields."""

    dialect: Dialect
    rows: pd.DataFrame
    """Our column names, line_number and raw_line."""
    malformed: pd.DataFrame
    """line_number, reason_code and raw_line of the lines with other fields than the header."""

    @property
    def count(self) -> int:
        """All data lines, good or not."""
        return len(self.rows) + len(self.malformed)


def read_lines(name: str, data: bytes, *, strict: bool = True) -> Lines:
    """Split a file into lines of a known dialect.

    Args:
        name: the file, for messages.
        data: its bytes.
        strict: refuse bytes that are no UTF-8 and a last line that is cut off. Without it, the
            content is read as far as it goes, which is enough to tell which slice it is of.

    Raises:
        SourceError: empty, header only, no text, no UTF-8, truncated, of no known dialect, with a
            column twice, or with more than `MAX_VALUES` values.

    """
    _refuse_too_many(name, data)
    text = _decode(name, data, strict=strict)
    if text.lstrip()[:1] in ("[", "{"):
        return _from_json(name, text)
    if "\r" in text:  # to look for one letter takes a hundredth of the time
        text = text.replace("\r\n", "\n")
    lines = _split(pa.scalar(text, pa.large_string()), "\n")
    first = lines[0].as_py()
    delimiter = "|" if "|" in first else ","
    header = _fields(lines[:1], delimiter)[0].as_py()
    dialect = next((d for d in dialects() if not d.lacks(header)), None)
    if dialect is None:
        raise SourceError(name, _unknown(header), line=1)
    if twice := sorted({c for c in header if c in dialect.renames and header.count(c) > 1}):
        reason = f"has {', '.join(twice)} twice: which one counts cannot be told"
        raise SourceError(name, reason, line=1)
    filled = pc.not_equal(pc.utf8_trim_whitespace(lines), "").to_numpy(zero_copy_only=False)
    numbers = 1 + np.flatnonzero(filled[1:]) + 1
    if dialect.day and len(numbers) and lines[int(numbers[-1]) - 1].as_py().strip().isdigit():
        numbers = _without_trailer(name, lines, numbers, strict=strict)
    elif dialect.day and strict:
        raise SourceError(name, "the file is truncated: its last line is not the number of rows")
    if not len(numbers):
        raise SourceError(name, "has a header and no rows", line=1)
    kept = lines.take(numbers - 1)
    fields = _fields(kept, delimiter)
    whole = pc.equal(pc.list_value_length(fields), len(header))
    is_ended = bool(dialect.day)  # by the number of rows
    if (
        strict
        and not is_ended
        and lines[-1].as_py()
        and _is_cut(dialect, header, fields[-1].as_py())
    ):
        line = kept[-1].as_py()
        raise SourceError(name, f"{_CUT}: {line[:80]!r}", line=int(numbers[-1]))
    values = pc.list_flatten(fields if pc.all(whole).as_py() else fields.filter(whole))
    columns = {
        column: values.take(np.arange(at, len(values), len(header)))
        for at, column in enumerate(header)
    }
    rows = dialect.renamed(columns)
    table = pd.DataFrame(
        {
            "line_number": numbers,
            "raw_line": _series(kept),
            "ok": whole.to_numpy(zero_copy_only=False),
        }
    )
    return _lines(dialect, rows, table)


def _without_trailer(name: str, lines: Any, numbers: Any, *, strict: bool) -> Any:
    """Return the numbers of the lines but the last, which says how many they are."""
    last = int(numbers[-1])
    said, count = lines[last - 1].as_py().strip(), len(numbers) - 1
    if strict and int(said) != count:
        reason = f"its last line says {said} rows, and there are {count}; download it again"
        raise SourceError(name, reason, line=last)
    return numbers[:-1]


def _split(text: Any, separator: str) -> Any:
    """Split one Arrow string into an array of strings, without a Python object for each."""
    return pc.split_pattern(pa.array([text]), separator).values


def _series(strings: Any) -> "pd.Series[str]":
    return pd.Series(pd.array(strings, dtype="str"))


_COMPACT = re.compile(r"^([0-9]{4})([0-9]{2})([0-9]{2})$")
_CUT = (
    "the file is truncated: its last line is cut off and has no newline; "
    "download it again (nothing of it was stored)"
)


def _is_cut(dialect: Dialect, header: list[str], last: list[str]) -> bool:
    """Tell whether a last line, without its newline, ends before its last field does."""
    if len(last) < len(header) or not last[-1]:
        return True
    is_date = dialect.renames.get(header[-1]) in (*DATES, "week_start")
    return is_date and len(last[-1]) < len("2025-12-26")


def _refuse_too_many(name: str, data: bytes) -> None:
    if len(data) > MAX_VALUES and sum(map(data.count, (b",", b"|", b"\n"))) > MAX_VALUES:
        reason = f"has over {MAX_VALUES:,} values, and no week of FINRA's has: it is something else"
        raise SourceError(name, reason)


def _decode(name: str, data: bytes, *, strict: bool) -> str:
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise SourceError(name, "is empty")
    try:
        text = data.decode(errors="strict" if strict else "replace")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        value = data[error.start : error.end].hex(" ")
        raise SourceError(
            name, f"is not UTF-8: byte {value}; save it as UTF-8", line=line
        ) from None
    if strict and "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SourceError(name, "is no text file: it holds a NUL byte", line=line)
    return text


def _fields(lines: Any, delimiter: str) -> Any:
    """Return the fields of each of an array of lines, as an array of lists."""
    if delimiter == "|":  # FINRA quotes nothing: a quotation mark is part of a name
        return pc.split_pattern(lines, "|")
    fields = [_csv_fields(line) for line in lines.to_pylist()]
    return pa.array(fields, pa.large_list(pa.large_string()))


def _csv_fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error:  # a bare carriage return, an endless field: one field, so it is malformed
        return [line]


def _unknown(header: list[str]) -> str:
    missing = min((d.lacks(header) for d in dialects()), key=len)
    known = ", ".join(d.name for d in dialects())
    near = f"; lacks {', '.join(sorted(missing))}" if len(missing) <= 3 else ""
    return f"is of no known dialect ({known}){near}; its header is {'|'.join(header)[:120]!r}"


def _lines(dialect: Dialect, rows: pd.DataFrame, table: pd.DataFrame) -> Lines:
    """Join values and lines; ``table`` has line_number, raw_line and ok for every line."""
    good = table[table["ok"]].reset_index(drop=True)
    rows = rows.assign(line_number=good["line_number"], raw_line=good["raw_line"])
    if "tier" in rows:
        tiers = TIER_ALIASES if dialect.tiers is None else dialect.tiers
        rows["tier"] = rows["tier"].replace(dict(tiers))
    if dialect.day:
        rows[dialect.day] = rows[dialect.day].str.replace(_COMPACT, r"\1-\2-\3", regex=True)
    malformed = table[~table["ok"]].assign(reason_code=RejectReason.MALFORMED_LINE.value)
    return Lines(dialect, rows, malformed[["line_number", "reason_code", "raw_line"]])


def _from_json(name: str, text: str) -> Lines:
    """Read the Query API's array of flat objects; the line number is the record's."""
    try:
        records = json.loads(text, parse_float=_plain, parse_int=str, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        reason = f"is no whole JSON document ({error.msg}); download it again"
        raise SourceError(name, reason, line=error.lineno) from None
    except RecursionError:
        raise SourceError(name, "is no JSON array of records: it is nested too deep") from None
    if not isinstance(records, list):
        raise SourceError(name, "is no JSON array of records", line=1)
    if not records:
        raise SourceError(name, "is an empty JSON array")
    whole = [_is_record(record) for record in records]
    objects = [record for record, ok in zip(records, whole, strict=True) if ok]
    header = sorted({key for record in objects for key in record})
    known = dict.fromkeys(map(dialect_of, every_dataset()))
    dialect = next((each for each in known if not each.lacks(header)), None)
    if dialect is None:
        raise SourceError(name, _unknown(header), line=1)
    rows = dialect.renamed(
        {source: [_json_text(record.get(source)) for record in objects] for source in header}
    )
    table = pd.DataFrame(
        {
            "line_number": range(1, len(records) + 1),
            "raw_line": record_texts(text),
            "ok": whole,
        }
    )
    return _lines(dialect, rows, table)


def record_texts(text: str) -> list[str]:
    """Return the text of each element of a JSON array, with its numbers as they were written."""
    decoder = json.JSONDecoder(parse_int=_int)
    texts: list[str] = []
    position = text.index("[") + 1
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return texts
        _, end = decoder.raw_decode(text, position)
        texts.append(text[position:end])
        position = end


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | list[tuple[str, Any]]:
    """Return a JSON object; one that has a name twice stays a list, which is no record."""
    record = dict(pairs)
    return record if len(record) == len(pairs) else pairs


def _plain(number: str) -> str:
    """Return a JSON number with a point or an exponent (1.50528905E7) as plain digits."""
    try:
        value = Decimal(number)
    except InvalidOperation:  # an exponent beyond all bounds
        return number
    if value and not -30 <= value.adjusted() <= 20:  # no quantity: let the line's judge see it
        return number
    return f"{value:f}".rstrip("0").rstrip(".") if value % 1 else f"{value.to_integral_value():f}"


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) < 100 else digits  # Python refuses thousands of digits


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _is_record(value: object) -> bool:
    """Tell whether a JSON value is a flat object whose text any database can hold.

    Numbers have been read as text; an unpaired surrogate or a NUL cannot be stored.
    """
    if not isinstance(value, dict):
        return False
    texts = [text for text in value.values() if text is not None]
    return all(isinstance(text, str) and not _UNSTORABLE.search(text) for text in texts)


def _json_text(value: object) -> str:
    return "" if value is None else str(value)
