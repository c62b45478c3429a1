"""A correction to one week: what is known changes for its symbols, in the six weeks it reaches."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from otc_assets.calculations import output_tables
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive, later_weeks, refresh
from otc_assets.operations.frames import current_knowledge
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra.conftest import NoLimit, index_of, quick
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.truth import Rows, Truth, assert_equal
from otc_assets_tests.finra.world import ATS, Number, Part, Record, World
from otc_assets_tests.pipeline import RUN

FRIDAYS = [date(2025, 9, 19) + timedelta(weeks=n) for n in range(9)]
WEEKS = [WeekKey(Tier.NMS_TIER_1, friday) for friday in FRIDAYS]
BEFORE, LATER = date(2025, 12, 5), date(2025, 12, 19)
"""The days on which the weeks are read, and read again."""
CORRECTED_ON = date(2025, 12, 16)


def part_of(week: WeekKey) -> Part:
    return Part(week.monday, "T1")


def published() -> World:
    world = World(seed=5, symbols=20)
    for week in WEEKS:
        world.publish(week.monday, "T1")
    return world


class Store:
    """A store that reads a server."""

    def __init__(self, folder: Path, server: FinraServer, today: date):
        self.warehouse = Warehouse(f"sqlite:///{folder / 'otc.db'}")
        self.archive = Archive(str(folder / "archive"))
        self.index = index_of(quick(server), today=today)
        self.today = today

    def run(self, weeks: list[WeekKey]) -> None:
        """Take weeks in, and compute what depends on them."""
        for week in weeks:
            assert (
                ingest(self.warehouse, self.archive, self.index, week, RUN, self.today).reason
                is None
            )
        for table in output_tables():
            for week in weeks:
                assert derive(self.warehouse, table.name, week, RUN).written
            for week in later_weeks(self.warehouse, table.name, weeks):
                refresh(self.warehouse, table.name, week, RUN)

    def snapshot(self, week: WeekKey) -> pd.DataFrame:
        with self.warehouse.read() as reader:
            return reader.frame("research_snapshot", week)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all weeks as they were first published."""
    folder = tmp_path_factory.mktemp("first_run")
    with pytest.MonkeyPatch.context() as patch, FinraServer(published()) as server:
        patch.setattr("otc_assets.sources.finra_client.RateLimit", lambda rate: NoLimit())
        store = Store(folder, server, BEFORE)
        store.run(WEEKS)
        store.warehouse.engine.dispose()
    return folder


def some_record(world: World, part: Part, *, of_single: bool = False) -> Record:
    """A record of a symbol with several venues, or with one only."""
    records = world.records(part, ATS)
    symbols = [record["issueSymbolIdentifier"] for record in records]
    return next(
        r
        for r in records
        if (symbols.count(r["issueSymbolIdentifier"]) == 1) == of_single
        and r["totalWeeklyShareQuantity"] != "0"
    )


def change_a_row(world: World, part: Part) -> date:
    record = some_record(world, part)
    world.correct(record, CORRECTED_ON, totalWeeklyShareQuantity=Number("123456.789"))
    return CORRECTED_ON


def remove_a_row(world: World, part: Part) -> date:
    world.remove(part, some_record(world, part))
    return LATER


def remove_a_symbol(world: World, part: Part) -> date:
    world.remove(part, some_record(world, part, of_single=True))
    return LATER


def add_a_row(world: World, part: Part) -> date:
    record = some_record(world, part, of_single=True)
    world.add(part, record | {"MPID": "ZXMP", "marketParticipantName": "LATE ATS"}, CORRECTED_ON)
    return CORRECTED_ON


def add_a_symbol(world: World, part: Part) -> date:
    record = some_record(world, part)
    world.add(part, record | {"issueSymbolIdentifier": "LATE"}, CORRECTED_ON)
    return CORRECTED_ON


@pytest.mark.parametrize(
    ("correct", "weeks_back"),
    [
        (change_a_row, 4),
        (change_a_row, 7),  # reaches a whole window
        (remove_a_row, 2),
        (remove_a_symbol, 7),  # as does this; the others need fewer weeks
        (add_a_row, 2),
        (add_a_symbol, 2),
    ],
)
def test_exactly_the_rows_that_changed_are_new_knowledge(
    first_run, unlimited, tmp_path, correct, weeks_back
):
    world, corrected = published(), WEEKS[-1 - weeks_back]
    as_published = Truth(world, ATS)
    day = correct(world, part_of(corrected))
    as_corrected = Truth(world, ATS)
    shutil.copytree(first_run, tmp_path / "store")
    with FinraServer(world) as server:
        store = Store(tmp_path / "store", server, LATER)
        before = {week: store.snapshot(week) for week in WEEKS}
        store.run([corrected])
        after = {week: store.snapshot(week) for week in WEEKS}
    reached = set()
    for week in WEEKS:
        old = as_published.research_snapshot(part_of(week))
        new = as_corrected.research_snapshot(part_of(week))
        changed = {symbol for symbol in old | new if old.get(symbol) != new.get(symbol)}
        rows, is_late = after[week], after[week]["as_of_date"] == day
        assert_equal(rows[is_late & ~rows["is_removed"]], "symbol", _only(new, changed))
        assert set(rows.loc[is_late & rows["is_removed"], "symbol"]) == changed - new.keys()
        assert_same(rows[~is_late], before[week])
        assert_equal(current_knowledge(rows), "symbol", new)
        reached |= {week} if changed else set()
    window = WEEKS[len(WEEKS) - 1 - weeks_back :][:6]
    assert corrected in reached
    assert reached <= set(window)


def _only(rows: Rows, symbols: set[str]) -> Rows:
    return {symbol: columns for symbol, columns in rows.items() if symbol in symbols}


def assert_same(rows: pd.DataFrame, before: pd.DataFrame) -> None:
    """Fail unless rows are what they were, but for the write that they come from."""
    lineage = ["batch_id", "computed_at"]
    now, then = (
        frame.drop(columns=lineage).reset_index(drop=True).astype(object)
        for frame in (rows, before)
    )
    pd.testing.assert_frame_equal(now, then)


def test_a_correction_reaches_five_weeks_further(first_run, unlimited, tmp_path):
    """Of a symbol that trades in every week."""
    world, corrected = published(), WEEKS[1]
    symbols = [{r["issueSymbolIdentifier"] for r in world.records(part_of(w), ATS)} for w in WEEKS]
    always = min(set.intersection(*symbols))
    records = world.records(part_of(corrected), ATS)
    record = next(r for r in records if r["issueSymbolIdentifier"] == always)
    world.correct(record, CORRECTED_ON, totalWeeklyShareQuantity=Number("9.5E6"))
    shutil.copytree(first_run, tmp_path / "store")
    with FinraServer(world) as server:
        store = Store(tmp_path / "store", server, LATER)
        store.run([corrected])
    days = {week: store.snapshot(week)["as_of_date"] == CORRECTED_ON for week in WEEKS}
    assert [int(late.sum()) for late in days.values()] == [0] + [1] * 6 + [0] * 2


def test_the_same_content_again_is_no_knowledge(first_run, unlimited, tmp_path):
    world = published()
    for week in WEEKS:
        world.firms[part_of(week)].reverse()
    shutil.copytree(first_run, tmp_path / "store")
    with FinraServer(world) as server:
        store = Store(tmp_path / "store", server, LATER)
        before = {week: store.snapshot(week) for week in WEEKS}
        store.run(WEEKS)
    for week in WEEKS:
        assert_same(store.snapshot(week), before[week])
