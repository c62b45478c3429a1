"""The page for researchers: what it tells is the store's, and a browser shows just that."""

import html
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from otc_assets.assets.platform import Platform
from otc_assets.calculations import output_tables
from otc_assets.definitions import build_defs, defs
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.intake import ingest
from otc_assets.research.facts import (
    TOP,
    WEEKS_SHOWN,
    State,
    coverage,
    freshness,
    largest_symbol,
    standing,
    state_of,
    symbol_facts,
)
from otc_assets.research.knowledge import UnknownSymbol
from otc_assets.research.market import FLOOR, movers
from otc_assets.research.page import write_page
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES, made_once
from otc_assets_tests.pipeline import RUN, run, weeks

TODAY = date(2025, 7, 17)
"""The day after the fixtures' correction of Tier 1, 2025-05-23."""
T1, T2, OTC = Tier.NMS_TIER_1, Tier.NMS_TIER_2, Tier.OTC
WEEKS = ["2025-05-16", "2025-05-23", "2025-05-30", "2025-06-06", "2025-06-13", "2025-06-20"]
STATES = {
    T1: ["complete", "corrected", "complete", "missing", "missing", "missing"],
    T2: ["complete", "missing", "partial", "missing", "missing", None],
    OTC: ["refused", "complete", "complete", "partial", "missing", None],
}
"""By tier and week: one Tier 2 week has no file, of another no table was computed; one file of OTC
is cut short, and another has twelve bad lines in some 270."""
CORRECTED, CORRECTION = date(2025, 5, 23), date(2025, 7, 16)
LAST = date(2025, 6, 6)
"""The newest week in the store."""
CHANGED, GONE = "FNWL", "XGON"
"""Symbols of the corrected week: one with another volume, one that was taken out."""

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
PHONE, SMALLEST_PHONE = 390, 320


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Warehouse]]:
    """A store of both datasets with the slices of `STATES`, and two weeks of dealers.

    Nobody may change it.
    """
    folder = made_once(tmp_path_factory, "research_page", fill)
    opened = [Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset) for dataset in DATASETS]
    yield opened
    for store in opened:
        store.engine.dispose()


def fill(folder: Path) -> None:
    """Fill the store of a folder."""
    source = shutil.copytree(FIXTURES, folder / "source")
    (source / "finra_otc_weekly_tier2_20250623.csv").unlink()
    broken = source / "finra_otc_weekly_otc_20250616.csv"
    broken.write_bytes(broken.read_bytes()[:-30])
    url = f"sqlite:///{folder / 'otc.db'}"
    ats, non_ats = (Warehouse(url, dataset) for dataset in DATASETS)
    slices = [*weeks([T1, OTC], "2025-05-16", "2025-05-30"), WeekKey(OTC, date(2025, 6, 6))]
    slices += weeks([T2], "2025-05-16", "2025-05-23")
    run(ats, source, folder / "archive", slices)
    index, archive = FileSource(str(source)).index(TODAY, ATS), Archive(str(folder / "archive"))
    ingest(ats, archive, index, WeekKey(T2, date(2025, 5, 30)), RUN, TODAY)
    run(non_ats, source, folder / "archive", weeks([T1], "2025-05-16", "2025-05-23"))
    for store in (ats, non_ats):
        store.engine.dispose()


@pytest.fixture(scope="module")
def ats(stores: list[Warehouse]) -> Warehouse:
    return stores[0]


@pytest.fixture(scope="module")
def page(stores: list[Warehouse], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that store."""
    path = tmp_path_factory.mktemp("page") / "a folder" / "research.html"
    write_page(str(path), stores, TODAY, CHANGED)
    return path


def ask(store: Warehouse, sql: str, *values: Any) -> list[Any]:
    """Ask the database itself."""
    connection = sqlite3.connect(store.url.removeprefix("sqlite:///"))
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def expected_states() -> dict[tuple[str, date], str]:
    due = {
        (tier.value, date.fromisoformat(week)): state
        for tier, states in STATES.items()
        for week, state in zip(WEEKS, states, strict=True)
        if state
    }
    return due | {(T1.value, date(2025, 6, 27)): "missing"}  # public since 14 July


# What it tells


def test_each_slice_that_is_due_has_its_state(ats: Warehouse):
    found = coverage(ats, TODAY)
    shown = found.set_index(["tier", "week_ending"])["state"].to_dict()
    assert shown == expected_states()


def test_grades_and_revisions_are_those_of_the_manifest(ats: Warehouse):
    manifest = {
        (tier, date.fromisoformat(week)): (revision or 0, grade)
        for tier, week, revision, grade in ask(
            ats, "SELECT tier, week_ending, source_revision, quality_grade FROM manifest"
        )
    }
    for row in coverage(ats, TODAY).itertuples():
        key = (row.tier, row.week_ending)
        assert (row.revision, row.grade) == manifest.get(key, (0, ""))


def test_a_refused_slice_says_why(ats: Warehouse):
    (refused,) = coverage(ats, TODAY).query("state == 'refused'").itertuples()
    assert "finra_otc_weekly_otc_20250616.csv, line 269" in refused.reason


def every_table() -> dict[str, int]:
    return {"raw": 2} | {table.name: 2 for table in output_tables()}


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({}, State.MISSING),
        ({"status": "missing", "source_revision": None, "row_counts": {"raw": 0}}, State.MISSING),
        ({"status": "refused", "source_revision": None, "row_counts": {"raw": 0}}, State.REFUSED),
        ({"status": "refused", "source_revision": 1, "row_counts": every_table()}, State.REFUSED),
        ({"status": "loaded", "source_revision": 1, "row_counts": {"raw": 0}}, State.EMPTY),
        ({"status": "loaded", "source_revision": 1, "row_counts": {"raw": 2}}, State.PARTIAL),
        ({"status": "loaded", "source_revision": 1, "row_counts": every_table()}, State.COMPLETE),
        ({"status": "loaded", "source_revision": 3, "row_counts": every_table()}, State.CORRECTED),
    ],
)
def test_a_state_is_told_from_the_manifest(row: dict[str, Any], state: State):
    assert state_of(row, has_many_rejects=False) is state


def test_coverage_is_of_the_newest_two_years(ats: Warehouse):
    later = coverage(ats, date(2032, 1, 15))["week_ending"]
    assert later.nunique() == WEEKS_SHOWN
    assert (later.max() - later.min()).days == 7 * (WEEKS_SHOWN - 1)


def test_the_lag_is_counted_from_the_first_week_that_lacks_after_the_newest(ats: Warehouse):
    rows = standing(ats, TODAY).set_index("tier")
    newest = {"NMS Tier 1": "2025-05-30", "NMS Tier 2": "2025-05-30", "OTC": "2025-06-06"}
    assert {tier: str(week) for tier, week in rows["newest_week"].items()} == newest
    # Public on 23 June, 7 July and 14 July.
    assert rows["lag_days"].to_dict() == {"NMS Tier 1": 24, "NMS Tier 2": 10, "OTC": 3}
    assert str(rows.loc["NMS Tier 1", "newest_due_week"]) == "2025-06-27"
    assert str(rows.loc["OTC", "next_publication"]) == "2025-07-21"


def test_freshness_is_the_newest_row_of_each_table(ats: Warehouse):
    for row in freshness(ats).itertuples():
        moment = "ingested_at" if row.table == "raw" else "computed_at"
        slices = "count(DISTINCT week_ending || tier)"
        ((newest, count),) = ask(ats, f"SELECT max({moment}), {slices} FROM {row.table}")
        assert (row.computed_at, row.slices) == (pd.Timestamp(newest, tz="UTC"), count)
        if row.table != "raw":
            versions = ask(ats, f"SELECT DISTINCT calc_version FROM {row.table} ORDER BY 1")
            assert row.versions == ", ".join(version for (version,) in versions)


def volumes(store: Warehouse, tier: str, week: date) -> dict[str, float]:
    sql = "SELECT symbol, total_volume FROM symbol_summary WHERE tier = ? AND week_ending = ?"
    return dict(ask(store, sql, tier, str(week)))


@pytest.mark.parametrize(("tier", "week"), [(T1, "2025-05-30"), (OTC, "2025-06-06")])
def test_movers_are_the_largest_changes_of_liquid_symbols(ats: Warehouse, tier: Tier, week: str):
    newest = date.fromisoformat(week)
    now, before = volumes(ats, tier, newest), volumes(ats, tier, newest - timedelta(weeks=1))
    trades = dict(
        ask(
            ats,
            "SELECT symbol, min(total_trades) FROM symbol_summary WHERE tier = ? "
            "AND week_ending IN (?, ?) GROUP BY symbol HAVING count(*) = 2",
            *(tier.value, week, str(newest - timedelta(weeks=1))),
        )
    )
    change = {s: now[s] - before[s] for s, count in trades.items() if count >= FLOOR}
    found = movers(WeekKey(tier, newest), database_url=ats.url)
    assert found["symbol"].tolist() == sorted(change, key=lambda s: (-abs(change[s]), s))
    assert found["change"].tolist() == [change[s] for s in found["symbol"]]
    assert found["now"].tolist() == [now[s] for s in found["symbol"]]


def test_a_tier_whose_week_before_is_lacking_has_no_movers(ats: Warehouse):
    assert movers(WeekKey(T2, date(2025, 5, 30)), database_url=ats.url).empty


def test_the_chart_is_of_the_largest_symbol_unless_another_is_asked_for(ats: Warehouse):
    now = volumes(ats, T1.value, date(2025, 5, 30))
    assert largest_symbol(ats) == max(now, key=now.__getitem__)


def published(store: Warehouse, symbol: str) -> dict[int, float | None]:
    """Return the shares of the corrected week by revision, from raw."""
    rows = ask(
        store,
        "SELECT source_revision, sum(share_volume) FROM raw "
        "WHERE symbol = ? AND tier = ? AND week_ending = ? GROUP BY 1",
        *(symbol, T1.value, str(CORRECTED)),
    )
    return dict(rows)


def test_a_corrected_week_shows_what_was_published_first_and_what_is_known_now(ats: Warehouse):
    (row,) = symbol_facts(ats, CHANGED).corrections.itertuples()
    revisions = published(ats, CHANGED)
    assert (row.tier, row.week_ending) == (T1.value, CORRECTED)
    assert (row.first_volume, row.volume) == (revisions[1], revisions[2])
    assert (row.first_known, row.known) == (date(2025, 6, 9), CORRECTION)


def test_the_weeks_of_a_symbol_are_as_known_now(ats: Warehouse):
    found = symbol_facts(ats, CHANGED).weeks
    shown = found.set_index(["tier", "week_ending"])["total_volume"].to_dict()
    sql = "SELECT tier, week_ending, total_volume FROM symbol_summary WHERE symbol = ?"
    stored = {(t, date.fromisoformat(w)): volume for t, w, volume in ask(ats, sql, CHANGED)}
    assert shown == stored


def test_a_symbol_that_a_correction_took_out_is_gone_from_its_week(ats: Warehouse):
    facts = symbol_facts(ats, GONE)
    (row,) = facts.corrections.itertuples()
    assert row.first_volume == published(ats, GONE)[1]
    assert pd.isna(row.volume)
    assert CORRECTED not in set(facts.weeks["week_ending"])


def test_an_unknown_symbol_is_named(stores: list[Warehouse], tmp_path: Path):
    with (
        pytest.warns(UnknownSymbol, match="it has FNWL"),
        pytest.raises(ValueError, match="no symbol 'fnwl': write it exactly as FINRA does"),
    ):
        write_page(str(tmp_path / "page.html"), stores, TODAY, "fnwl")
    assert list(tmp_path.iterdir()) == []


# The file


def test_the_same_store_gives_the_same_bytes(stores: list[Warehouse], page: Path):
    before = page.read_bytes()
    write_page(str(page), stores, TODAY, CHANGED)
    assert page.read_bytes() == before
    assert list(page.parent.iterdir()) == [page]


def test_both_databases_give_the_same_page(postgres_url: str, tmp_path: Path):
    texts = []
    for url in (f"sqlite:///{tmp_path / 'otc.db'}", postgres_url):
        store = Warehouse(url)
        run(store, FIXTURES, tmp_path / "archive", [WeekKey(OTC, date(2025, 6, 6))])
        page = tmp_path / f"{len(texts)}.html"
        write_page(str(page), [store], TODAY)
        text = page.read_text().replace(store.store_id, "")
        store.engine.dispose()
        assert f'datetime="{pd.Timestamp.now("UTC").date()}T' in text
        texts.append(re.sub(r'<time datetime="[^"]*T[^<]*</time>', "", text))
    assert texts[0] == texts[1]


def test_an_address_takes_the_page_too(stores: list[Warehouse], page: Path):
    from upath import UPath

    write_page("memory://bucket/research.html", stores, TODAY, CHANGED)
    assert UPath("memory://bucket/research.html").read_bytes() == page.read_bytes()


def test_nothing_in_it_is_elsewhere(page: Path):
    text = page.read_text()
    assert not re.search(r"<(script|link|img|iframe|object|base)\b|@import|@font-face|//", text)
    assert set(re.findall(r'(?:src|href)="(.)', text)) == {"#"}
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


def test_no_two_elements_have_one_id(page: Path):
    ids = Counter(re.findall(r'\bid="([^"]+)"', page.read_text()))
    assert [name for name, times in ids.items() if times > 1] == []
    assert set(re.findall(r'href="#([^"]+)"', page.read_text())) <= set(ids)


def test_every_picture_has_a_description(page: Path):
    """A key beside a word has none, and shapes in a picture share the picture's."""
    text = re.sub(r"<svg (x|class=.mark)[^>]*>", "", page.read_text())
    pictures = re.findall("<svg ([^>]*)>", text)
    described = [p for p in pictures if re.search('role="img" aria-label="[^"]{10,}"', p)]
    assert [p for p in pictures if p not in described and 'aria-hidden="true"' not in p] == []
    assert any(f"shares of {CHANGED} a week" in each for each in described)


def test_a_name_is_no_markup(stores: list[Warehouse], tmp_path: Path):
    from otc_assets.research import page as module

    facts = write_page(str(tmp_path / "page.html"), stores, TODAY, CHANGED)
    assert facts.symbol is not None
    object.__setattr__(facts.symbol, "symbol", "<b>&")
    text = module.render(facts, stores)
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;, week by week" in text


def test_an_empty_store_has_a_page_that_says_so(tmp_path: Path):
    empty = [Warehouse(f"sqlite:///{tmp_path / 'otc.db'}", dataset) for dataset in DATASETS]
    facts = write_page(str(tmp_path / "page.html"), empty, TODAY)
    assert [each.counts["missing"] for each in facts.datasets] == [3, 3]
    assert "The store has no symbol yet." in (tmp_path / "page.html").read_text()
    for store in empty:
        store.engine.dispose()


# The asset


def test_a_range_of_all_assets_writes_the_page_at_its_end(tmp_path: Path):
    platform = Platform(
        database_url=f"sqlite:///{tmp_path / 'otc.db'}",
        source_url=str(FIXTURES),
        archive_url=str(tmp_path / "archive"),
        page_url=str(tmp_path / "research.html"),
    )
    job = build_defs([NON_ATS], platform=platform).resolve_implicit_global_asset_job_def()
    tags = {
        "dagster/asset_partition_range_start": "OTC|2025-05-16",
        "dagster/asset_partition_range_end": "OTC|2025-05-16",
    }
    result = job.execute_in_process(tags=tags)
    (event,) = result.asset_materializations_for_node("research_page")
    assert event.metadata["page"] == dg.MetadataValue.path(str(tmp_path / "research.html"))
    preview = event.metadata["preview"].value
    assert "| complete | 1 |" in preview
    assert "| 2025-05-16 | non-ATS, OTC |" in preview
    assert 'data-week="2025-05-16"' in (tmp_path / "research.html").read_text()


def test_the_page_has_a_schedule_and_no_part_in_the_runs_of_sensors():
    schedule = defs.resolve_schedule_def("research_page_daily")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (
        "0 21 * * *",
        "America/New_York",
    )
    of_all_slices = {dg.AssetKey("research_page"), dg.AssetKey("venue_registry")}
    assert defs.resolve_job_def(schedule.job_name).asset_layer.selected_asset_keys == of_all_slices
    for dataset in DATASETS:
        job = defs.resolve_job_def(f"{dataset.name}_tables")
        assert of_all_slices.isdisjoint(job.asset_layer.selected_asset_keys)


# In a browser


class Marked(HTMLParser):
    """Collects the elements that carry data, and the texts of each picture."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.marked: list[dict[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self._figure, self._is_text = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if name.startswith("data-")}
        if found:
            self.marked.append(found)
        if tag == "figure":
            self._figure = dict(attrs).get("id") or ""
        self._is_text = tag == "text"

    def handle_data(self, data: str) -> None:
        if self._is_text and self._figure:
            self.texts.setdefault(self._figure, []).append(data)

    def handle_endtag(self, tag: str) -> None:
        self._is_text = False

    def with_(self, *names: str) -> list[dict[str, str | None]]:
        return [each for each in self.marked if all(f"data-{name}" in each for name in names)]


def chromium(page: Path) -> str:
    """Return the document that Chromium makes of a page."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options.append(f"--user-data-dir={page.parent / 'profile'}")
    command = [CHROMIUM or "", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def shown(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Marked:
    """The page as Chromium has read it."""
    copy = shutil.copy(page, tmp_path_factory.mktemp("browser") / "page.html")
    return Marked(chromium(copy))


@in_a_browser
def test_the_browser_shows_the_state_and_grade_of_each_slice(shown: Marked, ats: Warehouse):
    cells = [cell for cell in shown.with_("state", "week") if cell["data-dataset"] == "ats"]
    states = {(c["data-tier"], date.fromisoformat(c["data-week"])): c["data-state"] for c in cells}
    assert states == {key: s for key, s in expected_states().items() if key[1] <= LAST}
    counts = {
        c["data-count-of"]: int(text)
        for c, text in zip(shown.with_("count-of"), _counted(shown), strict=True)
        if c["data-dataset"] == "ats"
    }
    assert counts == {s.value: list(expected_states().values()).count(s.value) for s in State}


def _counted(shown: Marked) -> list[str]:
    return [value["data-count"] or "" for value in shown.with_("count-of")]


@in_a_browser
def test_the_map_has_the_letter_of_each_slice_that_is_not_complete(shown: Marked, ats: Warehouse):
    """Slices after the newest week in the store are a line of text instead."""
    states = Counter(s for (_, week), s in expected_states().items() if week <= LAST)
    letters = Counter(t for t in shown.texts["ats-coverage-figure"] if len(t) == 1)
    assert letters == {
        "M": states["missing"],
        "P": states["partial"],
        "X": states["refused"],
        "2": states["corrected"],
    }
    grades = Counter(t for t in shown.texts["ats-quality-figure"] if len(t) == 1)
    stored = ask(ats, "SELECT quality_grade FROM manifest WHERE quality_grade IS NOT NULL")
    below = Counter(grade for (grade,) in stored if grade != "A")
    assert +(grades - Counter({"-": grades["-"]})) == below


def test_weeks_after_the_newest_in_the_store_are_one_line(stores: list[Warehouse], tmp_path: Path):
    """A store whose newest data are a year old is no wall of missing cells."""
    path = tmp_path / "page.html"
    write_page(str(path), stores, date(2026, 7, 17), CHANGED)
    text = path.read_text()
    due = len(coverage(stores[0], date(2026, 7, 17)).query("week_ending > @LAST"))
    assert f"After the newest week in the store, {LAST}, {due} slices" in text
    assert text.count(">M</text>") == coverage_before(stores)


def coverage_before(stores: list[Warehouse]) -> int:
    """Count the missing slices among the weeks of the store, of both datasets."""
    count = 0
    for store in stores:
        rows = coverage(store, TODAY)
        newest = rows[rows["state"] != "missing"]["week_ending"].max()
        count += len(rows[(rows["state"] == "missing") & (rows["week_ending"] <= newest)])
    return count


@in_a_browser
def test_the_browser_shows_the_newest_weeks_and_their_lag(shown: Marked):
    rows = [row for row in shown.with_("lag") if row["data-dataset"] == "ats"]
    assert [(row["data-newest"], row["data-lag"]) for row in rows] == [
        ("2025-05-30", "24"),
        ("2025-05-30", "10"),
        ("2025-06-06", "3"),
    ]


@in_a_browser
def test_the_browser_shows_movers_and_tables(shown: Marked, stores: list[Warehouse]):
    told = []
    for tier, day in ((T1, date(2025, 5, 30)), (OTC, date(2025, 6, 6))):
        rows = movers(WeekKey(tier, day), database_url=stores[0].url).head(TOP)
        told += [(row.symbol, row.change) for row in rows.itertuples()]
        if tier is T1:
            week = WeekKey(tier, date(2025, 5, 23))
            where = {"dataset": "non_ats", "database_url": stores[0].url}
            dollars = movers(week, by="total_notional", **where).head(TOP)
            told += [(row.symbol, row.change) for row in dollars.itertuples()]
    rows = shown.with_("symbol", "change")
    found = [(row["data-symbol"], float(row["data-change"] or "")) for row in rows]
    assert found == told
    tables = [row["data-table"] for row in shown.with_("versions")]
    assert tables == 2 * ["raw", *(table.name for table in output_tables())]


@in_a_browser
def test_the_chart_marks_the_correction(shown: Marked, ats: Warehouse, page: Path):
    (row,) = shown.with_("first", "now")
    revisions = published(ats, CHANGED)
    assert float(row["data-first"] or "") == revisions[1]
    assert float(row["data-now"] or "") == revisions[2]
    first, now = revisions[1], revisions[2]
    told = f"published on 2025-06-09 as {first:,} shares, since 2025-07-16 {now:,}"
    assert told in page.read_text()


@in_a_browser
@pytest.mark.parametrize("width", [PHONE, SMALLEST_PHONE])
def test_a_phone_needs_no_scrolling_sideways_and_nothing_is_loaded(
    page: Path, tmp_path: Path, width: int
):
    """In a frame as wide as a phone; tables that are wider scroll inside their own box."""
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe width="{width}" height="800" style="border:0" '
        f'srcdoc="{html.escape(page.read_text())}"></iframe>'
        "<script>onload = () => {"
        "const frame = frames[0], root = frame.document.documentElement;"
        "document.title = [root.scrollWidth - root.clientWidth, frame.innerWidth,"
        "frame.performance.getEntriesByType('resource').length].join(); }</script>"
    )
    (title,) = re.findall("<title>([^<]*)</title>", chromium(frame).split("<iframe")[0])
    assert title == f"0,{width},0"
