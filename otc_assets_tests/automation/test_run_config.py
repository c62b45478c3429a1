"""The revision policy of a run is its config; each partition's metadata say what became of it."""

import shutil
from typing import Any

import dagster as dg
import pytest

from otc_assets.assets.partitions import asset_key_of
from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.automation.conftest import Place
from otc_assets_tests.automation.daemon import Daemon
from otc_assets_tests.conftest import FIXTURES

FIRST = FIXTURES / "finra_otc_weekly_otc_20250616.csv"
SLICE, KEY = "OTC:2025-05-16", "OTC|2025-05-16"
KEPT = "skipped; the store keeps revision 1"
AGAIN, NEW = (f"updated as revision {number}, after revision 1" for number in (1, 2))
BOTH = {1: {"BABFY": 34951}, 2: {"BABFY": 7, "ADDED": 7}}
LINE = "OTC|BABFY|Brabrafen Holdings Inc. Common Stock|THRN THORN EXAMPLE DESK|THRN|{}|192|{}"


def run_raw(dagster: Daemon, dataset: Dataset = ATS, **config: Any) -> None:
    key = asset_key_of("raw", dataset)
    result = dagster.do(
        f"{dataset.name}_tables",
        asset_selection=[key],
        partition_key=KEY,
        run_config={"ops": {"__".join(key.path): {"config": config}}},
        raise_on_error=True,
    )
    assert result.success


def shares(place: Place) -> dict[int, dict[str, int]]:
    """Return the shares of two symbols, by revision."""
    with place.store().read() as reader:
        rows = reader.frame("raw", WeekKey.from_string(SLICE))
    rows = rows[rows["symbol"].isin(["BABFY", "ADDED"]) & (rows["mpid"] == "THRN")]
    return {
        number: {r.symbol: r.share_volume // 1_000_000 for r in of_revision.itertuples()}
        for number, of_revision in rows.groupby("source_revision")
    }


def said(dagster: Daemon, table: str = "raw") -> list[str]:
    """Return what the newest metadata of the partition say of each content."""
    metadata = dagster.metadata(table, KEY)
    return [text for name, text in metadata.items() if name.startswith("content")]


@pytest.fixture
def corrected(place: Place) -> Place:
    """A slice in the store, and a second file that changes one record of it and adds another."""
    shutil.copy(FIRST, place.source)
    place.load(SLICE)
    text = FIRST.read_text()
    before = LINE.format(34951, "2025-06-16")
    assert before in text
    changed = LINE.format(7, "2025-07-16")
    added = changed.replace("|BABFY|", "|ADDED|")
    (place.source / "second_week_2025-05-16.csv").write_text(
        text.replace(before, f"{changed}\n{added}")
    )
    return place


@pytest.mark.parametrize(
    ("config", "revisions", "first"),
    [
        ({}, BOTH, KEPT),
        ({"policy": "VERSIONED"}, BOTH, KEPT),
        ({"policy": "OVERWRITE"}, {2: {"BABFY": 7, "ADDED": 7}}, KEPT),
        ({"policy": "OVERWRITE", "force": True}, {2: {"BABFY": 7, "ADDED": 7}}, AGAIN),
        ({"policy": "MERGE"}, {1: {"BABFY": 34951}, 2: {"BABFY": 34951, "ADDED": 7}}, KEPT),
        ({"policy": "SKIP", "force": True}, BOTH, AGAIN),
    ],
    ids=["default", "versioned", "overwrite", "forced overwrite", "merge", "forced skip"],
)
def test_a_changed_content_is_treated_as_the_config_says(
    dagster: Daemon,
    corrected: Place,
    config: dict[str, Any],
    revisions: dict[int, dict[str, int]],
    first: str,
):
    run_raw(dagster, **config)
    assert shares(corrected) == revisions
    assert said(dagster) == [first, NEW]


def test_under_skip_a_changed_content_is_left_out(dagster: Daemon, corrected: Place):
    run_raw(dagster, policy="SKIP")
    assert shares(corrected) == {1: {"BABFY": 34951}}
    assert said(dagster) == [KEPT, KEPT]


def test_with_force_the_same_content_is_written_again(dagster: Daemon, place: Place):
    shutil.copy(FIRST, place.source)
    place.load(SLICE)
    run_raw(dagster, force=True)
    assert said(dagster) == [AGAIN]
    with place.store().read() as reader:
        (revision,) = reader.records("revisions", WeekKey.from_string(SLICE))
    assert revision["execution_id"] in {run.run_id for run in dagster.instance.get_runs()}


def test_the_other_dataset_has_a_policy_of_its_own(dagster: Daemon, place: Place):
    shutil.copy(FIXTURES / "non_ats" / "finra_non_ats_otc_week_2025-05-16.json", place.source)
    run_raw(dagster, NON_ATS)
    run_raw(dagster, NON_ATS, policy="OVERWRITE", force=True)
    assert said(dagster, "non_ats/raw") == [AGAIN]


def test_an_unknown_policy_is_refused_before_anything_is_read(dagster: Daemon, corrected: Place):
    with pytest.raises(dg.DagsterInvalidConfigError, match="policy not in enum type"):
        run_raw(dagster, policy="NEWEST")
    assert shares(corrected) == {1: {"BABFY": 34951}}
