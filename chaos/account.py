"""What a file's bytes say, read by other means than the platform's: csv, json and Decimal alone.

`account` holds a parsed file against that: each line is there once, with its own text and numbers.
"""

import csv
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from otc_assets.sources.parse import ParsedFile

SHARES = ("totalWeeklyShareQuantity", "TotalShares")
TRADES = ("totalWeeklyTradeCount", "TotalTrades")
SYMBOL = ("issueSymbolIdentifier", "Symbol")
NOTIONAL = ("totalNotionalSum",)


@dataclass(frozen=True)
class Line:
    """A data line: its text, and the values under each name (several, if a name is there twice)."""

    text: str
    values: dict[str, list[str]]

    def texts(self, names: tuple[str, ...]) -> set[str]:
        """Return every value that stands under one of ``names``."""
        return {value for name in names for value in self.values.get(name, [])}


def lines_of(data: bytes) -> dict[int, Line]:
    """Return the data lines of a file by their numbers; in JSON, the records by theirs."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode()
    if text.lstrip()[:1] in "[{":
        return _records(text)
    lines = text.replace("\r\n", "\n").split("\n")
    delimiter = "|" if "|" in lines[0] else ","
    header = _split(lines[0], delimiter)
    found = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            fields = _split(line, delimiter)
            values: dict[str, list[str]] = {}
            for name, value in zip(header, fields, strict=False):
                values.setdefault(name, []).append(value)
            found[number] = Line(line, values if len(fields) == len(header) else {})
    return found


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == "|":
        return line.split("|")
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return [line]


def _records(text: str) -> dict[int, Line]:
    pairs = json.loads(
        text, object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=str
    )
    found = {}
    for number, record in enumerate(pairs, start=1):
        values: dict[str, list[str]] = {}
        for name, value in record if isinstance(record, tuple) else ():
            values.setdefault(name, []).append("" if value is None else str(value))
        found[number] = Line("", values)
    return found


def account(file: ParsedFile, data: bytes) -> None:
    """Hold a parsed file against its bytes.

    Raises:
        AssertionError: a line is lost, is there twice, or says something else than its text.

    """
    lines = lines_of(data)
    kept = [*file.rows["line_number"], *file.rejects["line_number"]]
    assert sorted(kept) == sorted(lines), "lines are lost, or there twice"
    intake = file.intake
    assert file.line_count == len(lines)
    assert file.line_count == intake.row_count + intake.reject_count + intake.repeat_count
    for row in file.rows.to_dict("records"):
        _check_row(row, lines[row["line_number"]])
    is_json = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")
    text = data.decode(errors="replace") if is_json else ""
    for number, _, raw in file.rejects.itertuples(index=False):
        if is_json:
            assert raw in text, f"the text of record {number} is not in the file"
        else:
            assert raw == lines[number].text, f"line {number} is not kept as it was"


def _check_row(row: dict[str, Any], line: Line) -> None:
    where = f"line {row['line_number']}: {line.values or line.text}"
    for names, value in (
        (SHARES, Decimal(int(row["share_volume"])).scaleb(-6)),
        (TRADES, Decimal(int(row["trade_count"]))),
    ):
        assert {_number(text) for text in line.texts(names)} == {value}, f"{value} of {where}"
    assert line.texts(SYMBOL) == {row["symbol"]}, where
    amounts = line.texts(NOTIONAL) - {""}
    if amounts and row["notional"] is not None:  # FINRA's download has no such column
        stored = Decimal(int(row["notional"])).scaleb(-6)
        assert len(amounts) == 1, where
        # More decimals than six are cut off.
        assert 0 <= (_number(amounts.pop()) - stored) * (1 if stored >= 0 else -1) < Decimal("1e-6")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise AssertionError(f"{text!r} was taken as a number") from None
