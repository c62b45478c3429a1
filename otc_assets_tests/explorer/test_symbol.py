"""The page of a symbol tells what the store has, and what it had on a day."""

import io
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from otc_assets.research import as_of, history, latest
from otc_assets_tests.explorer.tables import Page, number

CHANGED, GONE = "FNWL", "XGON"
"""Symbols of the corrected week: one with another volume, one that was taken out."""
CORRECTED, PUBLISHED, CORRECTION = "2025-05-23", "2025-06-09", "2025-07-16"
BEFORE = "2025-07-15"
Read = Callable[..., Page]


pytestmark = pytest.mark.filterwarnings("ignore::otc_assets.research.knowledge.UnknownSymbol")


@pytest.fixture(autouse=True)
def _of_the_same_store(judged_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTC_HOME", str(judged_home))


def ask(home: Path, sql: str, *values: Any) -> list[Any]:
    """Ask the database itself."""
    with closing(sqlite3.connect(home / "otc.db")) as connection:
        return connection.execute(sql, values).fetchall()


def shown_volumes(page: Page, column: str) -> dict[str, float]:
    """The shares in the table of weeks."""
    rows = page.rows("weeks-table")
    found = {row["Week ending"]: number(row[column]) for row in rows}
    return {week: shares for week, shares in found.items() if shares is not None}


@pytest.mark.parametrize("day", [None, BEFORE, CORRECTION, "2025-06-05", PUBLISHED])
@pytest.mark.parametrize("symbol", [CHANGED, GONE, "QRK.B", "PXDT"])
def test_the_table_of_weeks_is_what_was_known(page: Read, symbol: str, day: str | None):
    shown = page(f"/symbol/{symbol}" + (f"?as_of={day}" if day else ""))
    for column, dataset in (("ATS, shares", "ats"), ("Dealers, shares", "non_ats")):
        known = as_of(day or date.max, symbol, dataset=dataset)
        weeks = known["week_ending"].dt.strftime("%Y-%m-%d")
        expected = dict(zip(weeks, known["total_volume"], strict=True))
        found = shown_volumes(shown, column) if "weeks-table" in shown.tables else {}
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(("day", "revision"), [(None, 2), (BEFORE, 1), (CORRECTION, 2)])
@pytest.mark.parametrize("symbol", [CHANGED, "QRK.B"])
def test_venues_are_those_of_the_revision_that_was_known(
    page: Read, judged_home: Path, symbol: str, day: str | None, revision: int
):
    shown = page(f"/symbol/{symbol}" + (f"?as_of={day}" if day else ""))
    (row,) = (r for r in shown.rows("ats-venues-table") if r["Week ending"] == CORRECTED)
    in_raw = dict(
        ask(
            judged_home,
            "SELECT mpid, SUM(share_volume) FROM raw WHERE tier = 'NMS Tier 1' AND symbol = ? "
            "AND week_ending = ? AND source_revision = ? GROUP BY mpid",
            symbol,
            CORRECTED,
            revision,
        )
    )
    named = {v: n for v, text in row.items() if v in in_raw and (n := number(text)) is not None}
    assert named == {venue: in_raw[venue] for venue in named}
    assert len(named) >= min(5, len(in_raw))
    told = [number(text) or 0 for head, text in row.items() if head != "Week ending"]
    assert sum(told) == pytest.approx(sum(in_raw.values()))


def test_a_correction_is_marked_with_what_was_first_published(page: Read, judged_home: Path):
    first, now = (
        volume
        for (volume,) in ask(
            judged_home,
            "SELECT SUM(share_volume) FROM raw WHERE symbol = ? AND week_ending = ? "
            "GROUP BY source_revision ORDER BY source_revision",
            CHANGED,
            CORRECTED,
        )
    )
    shown = page(f"/symbol/{CHANGED}")
    (row,) = shown.rows("corrections-table")
    assert number(row["First published, shares"]) == first
    assert number(row["Corrected, shares"]) == now
    assert (row["published"], row["known since"]) == (PUBLISHED, CORRECTION)
    assert f"published on {PUBLISHED} as {first:,} shares, since {CORRECTION} {now:,}" in shown.text
    assert "corrections-table" not in page(f"/symbol/{CHANGED}?as_of={BEFORE}").tables


def test_what_changed_since_a_day_is_told(page: Read):
    shown = page(f"/symbol/{CHANGED}?as_of={BEFORE}")
    (row,) = shown.rows("since-table")
    rows = history(CHANGED, weeks=CORRECTED)["total_volume"].tolist()
    assert number(row[f"Shares as known on {BEFORE}"]) == rows[0]
    assert number(row["Shares as known now"]) == rows[-1]
    assert row["known since"] == CORRECTION
    assert "HHI" in row["Changed too"]


def test_a_symbol_that_was_taken_out_is_there_for_who_asks_about_before(page: Read):
    (row,) = page(f"/symbol/{GONE}?as_of={BEFORE}").rows("since-table")
    assert row["Shares as known now"] == "taken out"
    weeks = [row["Week ending"] for row in page(f"/symbol/{GONE}").rows("weeks-table")]
    assert CORRECTED not in weeks


def test_the_days_of_the_slider_are_those_on_which_something_became_known(site: httpx.Client):
    text = site.get(f"/symbol/{CHANGED}").text
    (days,) = re.findall(r'data-days="([^"]*)"', text)
    expected = {
        str(day.date())
        for dataset in ("ats", "non_ats")
        for day in history(CHANGED, dataset=dataset)["as_of_date"]
    }
    assert days.split() == sorted(expected)
    options = re.findall(r"<option>(\d{4}-\d\d-\d\d)", text)  # without script
    assert options == sorted(expected, reverse=True)


def test_before_the_first_publication_the_page_says_since_when(page: Read):
    shown = page(f"/symbol/{CHANGED}?as_of=2025-05-01")
    assert "nothing was known" in shown.text
    assert f"/symbol/{CHANGED}?as_of=2025-06-02" in shown.links


def test_bars_are_as_high_as_the_numbers(site: httpx.Client):
    """The stack of a week in the picture adds up to its total, in the picture's own scale."""
    text = site.get(f"/symbol/{CHANGED}").text
    start = text.index('id="ats-stack"')
    figure = text[start : text.index("legend", start)]
    heights: dict[str, float] = defaultdict(float)
    for path in re.findall(r'<path class="s\d" d="([^"]*)"', figure):
        for x, height in re.findall(r"M([\d.]+) [\d.]+h[\d.]+v([\d.]+)", path):
            heights[x] += float(height)
    known = latest(CHANGED).sort_values("week_ending")["total_volume"].tolist()
    drawn = [heights[x] for x in sorted(heights, key=float)]
    scale = drawn[0] / known[0]
    assert drawn == pytest.approx([scale * volume for volume in known], rel=1e-3)


def test_downloads_have_the_same_numbers(site: httpx.Client, page: Read):
    shown = page(f"/symbol/{CHANGED}?as_of={BEFORE}")
    as_of_csv = re.compile(r"/v1/as-of\?.*dataset=ats&format=csv")
    (link,) = filter(as_of_csv.match, shown.links)
    rows = pd.read_csv(io.StringIO(site.get(link).text))
    downloaded = dict(zip(rows["week_ending"], rows["total_volume"], strict=True))
    assert shown_volumes(shown, "ATS, shares") == pytest.approx(downloaded)


def test_the_permanent_link_names_the_day(page: Read):
    shown = page(f"/symbol/{CHANGED}")
    (link,) = {each for each in shown.links if each.startswith(f"/symbol/{CHANGED}?as_of=2025-07")}
    assert date.fromisoformat(link.rpartition("=")[2]) >= date.fromisoformat(CORRECTION)
    assert page(link).rows("weeks-table") == shown.rows("weeks-table")
