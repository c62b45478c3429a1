"""The market, a venue, a week and coverage: what they tell is the store's."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from otc_assets.research import as_of, latest
from otc_assets_tests.explorer.tables import Page, number

NEWEST, BEFORE_CORRECTION = "2025-05-23", "2025-07-15"
Read = Callable[..., Page]


@pytest.fixture(autouse=True)
def _of_the_same_store(judged_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTC_HOME", str(judged_home))


def ask(home: Path, sql: str, *values: Any) -> list[Any]:
    """Ask the database itself."""
    with closing(sqlite3.connect(home / "otc.db")) as connection:
        return connection.execute(sql, values).fetchall()


# The market


def test_the_overview_adds_up_what_raw_has(page: Read, judged_home: Path):
    rows = {row["Tier"]: row for row in page("/").rows("overview-table")}
    assert list(rows) == ["NMS Tier 1", "OTC"]
    for tier, row in rows.items():
        for column, table in (("ATS, shares", "raw"), ("Dealers, shares", "non_ats_raw")):
            ((total,),) = ask(
                judged_home,
                f"SELECT SUM(share_volume) FROM {table} AS r WHERE tier = ? AND week_ending = ? "
                f"AND source_revision = (SELECT MAX(source_revision) FROM {table} "
                "WHERE tier = r.tier AND week_ending = r.week_ending)",
                tier,
                NEWEST,
            )
            assert number(row[column]) == round(total)


def test_the_overview_of_a_day_is_of_the_revision_that_was_known(page: Read, judged_home: Path):
    row = page(f"/?as_of={BEFORE_CORRECTION}").rows("overview-table")[0]
    ((first,),) = ask(
        judged_home,
        "SELECT SUM(share_volume) FROM raw WHERE tier = 'NMS Tier 1' AND week_ending = ? "
        "AND source_revision = 1",
        NEWEST,
    )
    assert number(row["ATS, shares"]) == round(first)


def test_the_league_has_each_venues_share_and_its_change(page: Read, judged_home: Path):
    shares: dict[str, dict[str, float]] = {}
    for week, mpid, volume in ask(
        judged_home,
        "SELECT week_ending, mpid, SUM(share_volume) FROM venue_volume "
        "WHERE tier = 'NMS Tier 1' GROUP BY week_ending, mpid",
    ):
        shares.setdefault(week, {})[mpid] = volume
    parts = {
        week: {mpid: 100 * volume / sum(of.values()) for mpid, volume in of.items()}
        for week, of in shares.items()
    }
    rows = page("/").rows("league-table")
    assert [row["Venue"] for row in rows] == sorted(parts[NEWEST], key=lambda v: -parts[NEWEST][v])
    for row in rows:
        now, then = parts[NEWEST][row["Venue"]], parts["2025-05-16"][row["Venue"]]
        assert number(row["Share, %"]) == pytest.approx(now, abs=0.005)
        assert number(row["change, points"]) == pytest.approx(now - then, abs=0.006)


def test_movers_are_by_absolute_change_above_the_floor(page: Read):
    before, now = (latest(tiers="NMS Tier 1", weeks=week) for week in ("2025-05-16", NEWEST))
    both = now.merge(before, on="symbol", suffixes=("", "_before")).set_index("symbol")
    for floor in (100, 20_000):
        rows = page(f"/?floor={floor}").rows("by-shares-table")
        liquid = both[(both["total_trades"] >= floor) & (both["total_trades_before"] >= floor)]
        change = (liquid["total_volume"] - liquid["total_volume_before"]).sort_values(
            key=abs, ascending=False
        )
        found = {row["Symbol"]: number(row["Change, shares"]) for row in rows}
        assert found == {symbol: round(value) for symbol, value in change.head(12).items()}
        assert list(found) == list(change.head(12).index)


def test_dollars_are_of_dealers_alone_and_ats_has_none(page: Read):
    shown = page("/")
    assert "FINRA publishes dollars for dealers only" in shown.text
    known = latest(tiers="NMS Tier 1", weeks=NEWEST, dataset="non_ats").set_index("symbol")
    for row in shown.rows("by-dollars-table"):
        assert number(row["Now, dollars"]) == round(known.at[row["Symbol"], "total_notional"])


# A venue


def test_a_venue_has_its_share_and_rank_of_each_week(page: Read, judged_home: Path):
    rows = page("/venue/ABCD").rows("weeks-table")
    stored = ask(
        judged_home,
        "SELECT week_ending, rank, total_volume FROM venue_share WHERE mpid = 'ABCD' "
        "ORDER BY week_ending DESC",
    )
    told = [(r["Week ending"], number(r["Rank"]), number(r["Shares"])) for r in rows]
    assert told == stored


def test_a_venue_of_a_day_is_of_the_revision_that_was_known(page: Read, judged_home: Path):
    row = page(f"/venue/ABCD?as_of={BEFORE_CORRECTION}").rows("weeks-table")[0]
    ((first,),) = ask(
        judged_home,
        "SELECT SUM(share_volume) FROM raw WHERE mpid = 'ABCD' AND tier = 'NMS Tier 1' "
        "AND week_ending = ? AND source_revision = 1",
        NEWEST,
    )
    assert number(row["Shares"]) == pytest.approx(first)


def test_a_venue_gains_and_loses_what_the_store_says(page: Read, judged_home: Path):
    shown = page("/venue/ABCD")
    now, before = (
        dict(
            ask(
                judged_home,
                "SELECT symbol, share_volume FROM venue_volume WHERE mpid = 'ABCD' "
                "AND tier = 'NMS Tier 1' AND week_ending = ?",
                week,
            )
        )
        for week in (NEWEST, "2025-05-16")
    )
    change = {s: now.get(s, 0) - before.get(s, 0) for s in now.keys() | before.keys()}
    for table, sign in (("gains", 1), ("losses", -1)):
        rows = shown.rows(f"{table}-table")
        moved = [symbol for symbol in change if sign * change[symbol] > 0]
        expected = sorted(moved, key=lambda symbol: -abs(change[symbol]))
        assert [row["Symbol"] for row in rows] == expected[:15]
        assert [number(r["change, shares"]) for r in rows] == [change[s] for s in expected[:15]]


def test_a_dealer_has_a_page_under_its_name(page: Read):
    (link, *_) = (each for each in page("/?dataset=non_ats").links if each.startswith("/venue/9"))
    assert "dealer" in page(link).text


# A week


@pytest.mark.parametrize("day", [None, BEFORE_CORRECTION])
def test_a_week_is_the_cross_section_that_was_known(page: Read, day: str | None):
    path = f"/week/nms_tier_1/{NEWEST}"
    rows = page(path + (f"?as_of={day}" if day else "")).rows("week-table")
    which: dict[str, Any] = {"tiers": "NMS Tier 1", "weeks": NEWEST}
    known = latest(**which) if day is None else as_of(day, **which)
    expected = dict(zip(known["symbol"], known["total_volume"], strict=True))
    assert {row["Symbol"]: number(row["Shares ▼"]) for row in rows} == expected
    assert [row["Symbol"] for row in rows] == sorted(expected, key=lambda s: (-expected[s], s))


def test_a_week_is_sorted_filtered_and_paged_by_its_url(page: Read):
    path = f"/week/otc/{NEWEST}"
    first, second = (page(f"{path}?page={n}&sort=symbol&order=up") for n in (1, 2))
    symbols = [row["Symbol ▲"] for shown in (first, second) for row in shown.rows("week-table")]
    assert symbols == sorted(latest(tiers="OTC", weeks=NEWEST)["symbol"])
    found = page(f"{path}?q=bra&floor=10").rows("week-table")
    assert found
    assert all("bra" in (row["Symbol"] + row["Name"]).casefold() for row in found)
    assert all((number(row["Trades"]) or 0) >= 10 for row in found)


def test_a_week_that_is_not_there_names_those_that_are(page: Read):
    shown = page("/week/otc/2024-05-24", 404)
    assert f"/week/otc/{NEWEST}" in shown.links
    assert f"/week/otc/{NEWEST}" in page("/week/otc/2025-05-21", 404).links  # no Friday
    page("/week/tier9/2025-05-23", 404)


# Coverage


def test_coverage_counts_slices_and_folds_what_came_after(page: Read, site: httpx.Client):
    shown = page("/coverage")
    rows = site.get("/v1/coverage?newest=1000").json()["data"]
    counted = {row["State"]: int(row["ATS"]) for row in shown.rows("counts-table")}
    assert counted["missing"] == sum(row["state"] == "missing" for row in rows)
    assert counted["corrected"] == 1
    late = sum(row["week_ending"] > NEWEST for row in rows)
    assert f"After the newest week in the store, {NEWEST}, {late} slices" in shown.text


# Search


def test_a_symbol_in_the_search_box_leads_to_its_page(site: httpx.Client):
    for text in ("FNWL", "fnwl", " FNWL "):
        answer = site.get("/search", params={"q": text})
        assert (answer.status_code, answer.headers["location"]) == (303, "/symbol/FNWL")


def test_a_venue_is_found_by_its_mpid_and_by_its_name(site: httpx.Client, page: Read):
    for text in ("brch", "BRCH"):
        answer = site.get("/search", params={"q": text})
        assert (answer.status_code, answer.headers["location"]) == (303, "/venue/BRCH")
    (dealer,) = {row["Venue"] for row in page("/search?q=elm+example").rows("venues-table")}
    for path in (f"/search?q={dealer}", f"/venue/{dealer}"):
        answer = site.get(path, follow_redirects=True)
        assert (answer.status_code, answer.url.path.split()[0]) == (200, f"/venue/{dealer}")
    rows = page("/search?q=example+ats").rows("venues-table")
    assert {"CNDL", "STPD"} <= {row["Venue"] for row in rows}
    assert all("EXAMPLE ATS" in row["Name"] for row in rows)


def test_a_part_of_a_name_is_found_and_nothing_has_near_spellings(page: Read):
    rows = page("/search?q=bancorp").rows("found-table")
    assert rows
    assert all("bancorp" in row["Name"].casefold() for row in rows)
    assert "/symbol/FNWL" in page("/search?q=FNWLX").links
    assert "/symbol/FNWL" in page("/symbol/fnwl", 404).links
