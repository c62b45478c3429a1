"""The tool that explains a number: from the snapshot's row back to the lines of FINRA's file."""

from typing import Any

import pandas as pd

from otc_assets.domain.tables import Column, ColumnType
from otc_assets.research import why
from otc_assets.research.why import Content, Why
from otc_assets.serving.described import column
from otc_assets.serving.formats import records
from otc_assets.serving.mcp.answers import Answer
from otc_assets.serving.mcp.tool import Day, SymbolName, TierName, Tool, Week, friday

EVENTS = 20
"""That are told; a row may rest on hundreds."""
LINES: list[Column] = [
    column("line_number", ColumnType.COUNT, "In the file; its header is line 1."),
    column("source_file", ColumnType.TEXT, "FINRA's file."),
    column("mpid", ColumnType.TEXT, "The venue."),
    column("share_volume", ColumnType.SHARES, "Shares of the line."),
    column("trade_count", ColumnType.COUNT, "Trades of the line."),
    column("text", ColumnType.TEXT, "The line itself; null if it is out of reach.", nullable=True),
]


class ExplainNumber(Tool):
    """Explain where the numbers of one symbol in one week come from, for citing and checking them.

    The rows are the lines of FINRA's file that were added up, one per venue. ``explanation`` has
    the row that they gave, the calculations with their versions and inputs, the events that led to
    it, and the files with their SHA-256.
    """

    title = "Explain a number"
    columns = LINES
    explained = True
    symbol: SymbolName
    week: Week
    tier: TierName | None = None
    day: Day = None

    def find(self) -> Answer:
        """Ask `why`."""
        day, week = self.known_on(self.day), friday(self.week)
        warning = self.checked_symbol(self.symbol)
        found = why(self.symbol, week, self.tier, day, dataset=self.dataset)
        if not found:
            nothing = warning or "no such row was known: another day, week or tier?"
            return self.found(_lines([]), day, nothing)
        others = ", ".join(each.row["tier"] for each in found[1:])
        also = f"it was reported in {others} too: name the tier" if others else None
        answer = self.found(_lines(found[0].contents), day, also, *found[0].problems)
        answer.about = f"{found[0].row['tier']}, week ending {week}"
        answer.explanation = _explanation(found[0])
        return answer


def _lines(contents: list[Content]) -> pd.DataFrame:
    names = [each.name for each in LINES]
    lines = [line for content in contents for line in content.lines]
    return pd.DataFrame([[getattr(line, name) for name in names] for line in lines], columns=names)


def _explanation(found: Why) -> dict[str, Any]:
    newest = found.events[-EVENTS:]
    return {
        "row": records(pd.DataFrame([found.row]))[0],
        "calculations": [_calculation(each) for each in found.calculations],
        "events_total": len(found.events),
        "newest_events": [_event(each) for each in newest],
        "read_from": [
            f"week {each.week_ending}, revision {each.source_revision}, public on "
            f"{each.revision_date}: {each.source_file}, sha256 {each.source_sha256}"
            for each in found.contents
        ],
    }


def _calculation(each: dict[str, Any]) -> str:
    read = ", ".join(f"{i['week_ending']} r{i['source_revision']}" for i in each["inputs"] or ())
    return f"{each['table']} {each['calc_version'] or ''}: from {read or 'unknown revisions'}"


def _event(each: dict[str, Any]) -> str:
    at = f"{each['created_at']:%Y-%m-%d %H:%M:%S}Z"
    table = each["payload"].get("table") or ""
    return f"{each['sequence']} {at} {each['event_type']} {table} {each['aggregate_id']}"
