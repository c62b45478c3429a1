"""Versions side by side: compared in one call and in the UI, held to their promise, retired."""

import importlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.assets.metadata import slice_metadata
from otc_assets.assets.platform import Platform
from otc_assets.calculations import Calculation, all_calculations, get_calculation, output_tables
from otc_assets.calculations.concentration import concentration_v1, concentration_v2
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets.domain.differences import compare_versions
from otc_assets.domain.tiers import Tier
from otc_assets.operations.derive import derive
from otc_assets.operations.versions import retire
from otc_assets.research import compare
from otc_assets.warehouse.events import select_events
from otc_assets.warehouse.reader import table_named
from otc_assets.warehouse.schema import EVENT_LOG
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import RUN, run, weeks

SLICES = weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-30")
WEEK = SLICES[0]
Register = Callable[..., None]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """Let the package have calculations, instead of those of the same label, for a test."""
    module = importlib.import_module("otc_assets.calculations.concentration")

    def install(*calculations: Calculation) -> None:
        for calc in calculations:
            monkeypatch.setattr(module, calc.spec.label, calc, raising=False)
        all_calculations.cache_clear()
        all_calculations()

    yield install
    monkeypatch.undo()
    all_calculations.cache_clear()


def version(number: int, change=lambda rows: rows, of=concentration_v2, **spec) -> Calculation:
    """Return a version of concentration that gives the rows of v2, changed."""
    spec = {"version": f"v{number}", "is_breaking": True, "replaces": "concentration_v2"} | spec
    return Calculation(
        replace(of.spec, **spec), lambda week, frames: change(of.compute(week, frames))
    )


RETIRED_V2 = Calculation(replace(concentration_v2.spec, retired=True), concentration_v2.compute)


def shifted(rows: pd.DataFrame) -> pd.DataFrame:
    """Let the HHI of the n-th symbol differ by n, and the last symbol be gone."""
    return rows.assign(hhi=rows["hhi"] + rows.index).iloc[:-1]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a store with three weeks of Tier 1."""
    folder = tmp_path_factory.mktemp("versions")
    address = f"sqlite:///{folder / 'otc.db'}"
    store = Warehouse(address)
    run(store, FIXTURES, folder / "archive", SLICES)
    store.engine.dispose()
    return address


@pytest.fixture
def store(url: str, tmp_path: Path) -> Warehouse:
    """A copy of that store, which a test may change."""
    shutil.copy(url.removeprefix("sqlite:///"), tmp_path / "otc.db")
    return Warehouse(f"sqlite:///{tmp_path / 'otc.db'}")


def ask(url: str, query: str) -> list[tuple]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        return connection.execute(query).fetchall()


PAIRS = """
    FROM concentration a JOIN concentration b USING (week_ending, tier, symbol)
    WHERE a.calc_version = 'v1' AND b.calc_version = 'v2'
"""


def test_the_counts_are_those_of_plain_sql(url: str):
    found = compare("concentration", "v1", "v2", database_url=url)
    columns = found.columns.set_index("column")
    compared = ask(url, f"SELECT count(*) {PAIRS}")[0][0]
    different = ask(
        url,
        "SELECT week_ending, symbol, a.concentration_level, b.concentration_level "
        f"{PAIRS} AND a.concentration_level <> b.concentration_level ORDER BY 1, 2",
    )
    assert compared > 100
    assert 0 < len(different) < compared
    assert set(columns["compared"]) == {compared}
    assert columns["different"].to_dict() == {
        "venue_count": 0,
        "hhi": 0,
        "concentration_level": len(different),
        "top_venue_mpid": 0,
        "top_venue_share_pct": 0,
    }
    assert (columns["equal"] + columns["different"] == compared).all()
    assert (columns[["only_left", "only_right"]] == 0).all(axis=None)
    shown = ["week_ending", "symbol", "concentration_level_v1", "concentration_level_v2"]
    differing = found.differences[shown].astype({"week_ending": "str"})
    assert list(differing.itertuples(index=False, name=None)) == different


def test_a_range_of_slices_is_compared(url: str):
    one = compare("concentration", "v1", "v2", "NMS Tier 1", "2025-05-23", database_url=url)
    expected = ask(url, f"SELECT count(*) {PAIRS} AND a.week_ending = '2025-05-23'")[0][0]
    assert set(one.columns["compared"]) == {expected}
    assert {str(day.date()) for day in one.differences["week_ending"]} == {"2025-05-23"}


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("hhi", "v1", "v2"), KeyError, "no calculation 'hhi'; there are .*concentration"),
        (("concentration", "v1", "v9"), KeyError, "no version 'v9'.*there are v1, v2"),
        (("concentration", "v1", "v1"), ValueError, "concentration v1 is one version"),
        (("concentration", "v1", "v2", "Tier 9"), ValueError, "Tier 9"),
        (("concentration", "v1", "v2", None, "2025-05-15"), ValueError, "2025-05-15"),
        (("concentration", "v1", "v2", "OTC"), ValueError, "no rows of concentration v1"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_there_is(url: str, arguments, error, said):
    with pytest.raises(error, match=said):
        compare(*arguments, database_url=url)


def test_a_version_that_was_not_run_yet_is_named_with_its_table(url: str, register: Register):
    register(version(3))
    with pytest.raises(ValueError, match=r"rows of concentration v3.*materialize concentration"):
        compare("concentration", "v2", "v3", database_url=url)


def test_the_largest_differences_come_first(store: Warehouse, register: Register):
    register(version(3, shifted))
    derive(store, "concentration", WEEK, RUN)
    week = WEEK.week_ending
    found = compare("concentration", "v2", "v3", weeks=week, database_url=store.url)
    with store.read() as reader:
        rows = reader.frame("venue_volume", WEEK, ["symbol", "mpid"])
    symbols = sorted(set(rows["symbol"]))
    last, compared = symbols[-1], symbols[:-1]
    hhi = found.columns.set_index("column").loc["hhi"]
    assert hhi.to_dict() == {
        "compared": len(compared),
        "equal": 1,
        "different": len(compared) - 1,
        "only_left": 1,
        "only_right": 0,
        "largest_difference": pytest.approx(len(compared) - 1),
    }
    both = found.differences[found.differences["found_in"] == "both"]
    assert both["symbol"].tolist() == compared[:0:-1]
    assert (both["hhi_v3"] - both["hhi_v2"]).round(6).tolist() == list(
        range(len(compared) - 1, 0, -1)
    )
    assert found.differences.loc[found.differences["found_in"] == "v2", "symbol"].tolist() == [last]


def test_quantities_are_compared_exactly_and_shown_in_shares():
    large = 2**60  # millionths; beyond what a float tells apart
    rows = pd.DataFrame(
        {
            "symbol": ["A", "B", "C", "A", "B", "D"],
            "total_volume": [large, 5_000_000, 1, large + 1, 7_500_000, 1],
            "calc_version": ["v1"] * 3 + ["v2"] * 3,
        }
    )
    found = compare_versions(table_named("symbol_summary"), rows, "v1", "v2")
    (volume,) = found.columns.to_dict("records")
    assert (volume["compared"], volume["different"]) == (2, 2)
    assert (volume["only_left"], volume["only_right"]) == (1, 1)
    assert volume["largest_difference"] == 2.5
    shown = found.differences.set_index("symbol")
    assert shown.loc["B", ["total_volume_v1", "total_volume_v2"]].tolist() == [5.0, 7.5]
    assert shown["found_in"].to_dict() == {"A": "both", "B": "both", "C": "v1", "D": "v2"}


@pytest.mark.parametrize(
    ("calculations", "said"),
    [
        ([version(3, replaces="venue_share_v1")], "replaces venue_share_v1, which does not fill"),
        ([version(3, replaces="concentration_v9")], "does not fill concentration; there are"),
        ([version(3, replaces="concentration_v3")], "concentration_v3, which is not older"),
        ([version(3, replaces="concentration_v4"), version(4)], "v4, which is not older"),
        ([version(3, replaces="concentration_v1", retired=True)], "no newer version replaces it"),
        ([RETIRED_V2], "concentration_v2 is retired, and no newer version replaces it"),
    ],
)
def test_a_false_succession_is_refused(register: Register, calculations, said: str):
    with pytest.raises(ValueError, match=said):
        register(*calculations)


def test_a_version_that_another_calculation_reads_cannot_be_retired(register: Register):
    spec = get_calculation("liquidity_score").spec
    reader = replace(spec, name="reader", output_table="reader", depends_on=("concentration_v2",))
    with pytest.raises(ValueError, match="v2 is retired, and reader_v1 depends on it"):
        register(RETIRED_V2, version(3), Calculation(reader, concentration_v2.compute))


def test_concentration_v2_breaks_and_replaces_v1():
    assert not concentration_v1.spec.is_breaking
    assert concentration_v2.spec.is_breaking
    assert concentration_v2.spec.replaces == concentration_v1.spec.label
    assert table_named("concentration").equal_versions == ()


@pytest.mark.parametrize("change", [lambda rows: rows, shifted], ids=["kept", "broken"])
def test_a_version_that_breaks_nothing_is_held_to_it(store: Warehouse, register: Register, change):
    register(version(3, change, is_breaking=False))
    assert table_named("concentration").equal_versions == (("v2", "v3"),)
    outcome = derive(store, "concentration", WEEK, RUN)
    (verdict,) = [each for each in outcome.verdicts if each.check_name == "v3_equals_v2"]
    assert outcome.written
    assert verdict.severity == "error"
    assert verdict.passed is (change is not shifted)
    if not verdict.passed:
        symbols = len(outcome.rows[outcome.rows["calc_version"] == "v3"])
        assert verdict.details["hhi differs"] == symbols - 1
        assert verdict.details["only v2"] == 1


def test_the_ui_shows_each_version_beside_the_one_before(store: Warehouse, register: Register):
    register(version(3, shifted))
    assert "versions" not in slice_metadata(derive(store, "venue_share", WEEK, RUN))
    outcome = derive(store, "concentration", WEEK, RUN)
    rows = outcome.rows.set_index(["calc_version", "symbol"])
    levels = [rows.loc[v, "concentration_level"] for v in ("v1", "v2")]
    count = int((levels[0] != levels[1]).sum())
    shown = slice_metadata(outcome)["versions"].value
    assert f"**v1 and v2**: {count} rows differ, 0 are in one only" in shown
    assert f"**v2 and v3**: {len(levels[0]) - 2} rows differ, 1 are in one only" in shown
    assert "| symbol | hhi_v2 | hhi_v3 |" in shown
    largest = rows.loc["v3"].index[-1]
    assert f"| {largest} | {rows.loc[('v2', largest), 'hhi']:,.2f} |" in shown


def versions_in(warehouse: Warehouse, name: str = "concentration") -> dict[str, dict[str, int]]:
    """Return the rows of each slice by version, as SQL counts them."""
    query = sa.text(
        f"SELECT week_ending, calc_version, count(*) FROM {name} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found: dict[str, dict[str, int]] = {}
    with warehouse.engine.connect() as connection:
        for week, number, count in connection.execute(query):
            found.setdefault(str(week), {})[number] = count
    return found


def test_rows_of_a_retired_version_stay_until_they_are_retired(
    warehouse: Warehouse, tmp_path: Path, register: Register
):
    two = SLICES[:2]
    run(warehouse, FIXTURES, tmp_path, two)
    before = versions_in(warehouse)
    assert all(set(counts) == {"v1", "v2"} for counts in before.values())
    register(RETIRED_V2, version(3))
    outcome = derive(warehouse, "concentration", two[0], RUN)
    assert set(outcome.rows["calc_version"]) == {"v1", "v3"}
    assert all(verdict.passed for verdict in outcome.verdicts)
    week, other = map(str, before)
    after = versions_in(warehouse)
    assert after[week] == before[week] | {"v3": before[week]["v1"]}
    assert after[other] == before[other]

    with pytest.raises(ValueError, match=f"no rows of its replacement v3 in {two[1]}; material"):
        retire(warehouse, "concentration_v2", RUN)
    assert versions_in(warehouse) == after

    derive(warehouse, "concentration", two[1], RUN)
    derive(warehouse, "research_snapshot", two[1], RUN)  # reads v1, beside what is retired
    removed = retire(warehouse, "concentration_v2", RUN)
    assert removed == {week: before[str(week.week_ending)]["v2"] for week in two}
    left = versions_in(warehouse)
    assert all(set(counts) == {"v1", "v3"} for counts in left.values())
    with warehouse.read() as reader:
        for week in two:
            manifest = reader.manifest(week)
            rows = reader.frame("concentration", week)
            (event,) = select_events(
                reader.connection,
                EVENT_LOG.c.event_type == "CALCULATION_RETIRED",
                EVENT_LOG.c.aggregate_id == f"ats {week}",
            )
            assert set(rows["calc_version"]) == {"v1", "v3"}
            assert manifest["row_counts"]["concentration"] == len(rows)
            assert event.payload == {
                "calculation": "concentration_v2",
                "replaced_by": "concentration_v3",
                "rows": removed[week],
            }
    assert retire(warehouse, "concentration_v2", RUN) == {}


def test_what_is_in_force_or_unknown_cannot_be_retired(sqlite_warehouse: Warehouse):
    with pytest.raises(ValueError, match="concentration_v1 is in force; set retired=True"):
        retire(sqlite_warehouse, "concentration_v1", RUN)
    with pytest.raises(KeyError, match=r"no calculation 'concentration_v9'; there are .*conc"):
        retire(sqlite_warehouse, "concentration_v9", RUN)


def test_a_retirement_that_was_interrupted_goes_on(
    store: Warehouse, register: Register, monkeypatch: pytest.MonkeyPatch
):
    register(RETIRED_V2, version(3))
    for week in SLICES:
        derive(store, "concentration", week, RUN)
    write, opened = store.write, iter([True])

    def once(week, run):
        if next(opened, False):
            return write(week, run)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", once)
        with pytest.raises(KeyboardInterrupt):
            retire(store, "concentration_v2", RUN)
    assert ["v2" in counts for counts in versions_in(store).values()] == [False, True, True]
    assert list(retire(store, "concentration_v2", RUN)) == SLICES[1:]


def test_the_job_retires_a_version(store: Warehouse, register: Register):
    job = build_defs([ATS], platform=Platform(database_url=store.url)).resolve_job_def("ats_retire")

    def execute() -> dg.ExecuteInProcessResult:
        config = {"calculation": "concentration_v2"}
        ops = {"ats_retire_version": {"config": config}}
        return job.execute_in_process(run_config={"ops": ops}, raise_on_error=False)

    assert not execute().success  # it is in force
    register(RETIRED_V2, version(3))
    for week in SLICES:
        derive(store, "concentration", week, RUN)
    assert execute().success
    assert all(set(counts) == {"v1", "v3"} for counts in versions_in(store).values())


def test_tables_keep_their_order_whatever_versions_there_are(register: Register):
    before = [table.name for table in output_tables()]
    register(RETIRED_V2, version(3), version(10, replaces="concentration_v3"))
    assert [table.name for table in output_tables()] == before
    assert get_calculation("concentration").spec.version == "v10"
