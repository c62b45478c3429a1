"""A backfill of the UI becomes runs of blocks of weeks, which give what one run gives."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from otc_assets.automation.ranges import Range, ranges_of
from otc_assets.domain.tiers import Tier
from otc_assets_tests import pipeline
from otc_assets_tests.automation.conftest import Place, place_in
from otc_assets_tests.automation.daemon import daemon, range_of
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.ui import CODE_SERVER, launch_backfill

SLICES = pipeline.weeks([Tier.NMS_TIER_2, Tier.OTC], "2025-05-02", "2025-05-16")
BLOCKS = [("2025-05-02", "2025-05-09"), ("2025-05-16", "2025-05-16")]
Outcome = tuple[str, dict[str, pd.DataFrame]]


def outcome_in(place: Place, folder: Path) -> Outcome:
    """Return what a home holds: the fingerprint of its rows, and its feature files' rows."""
    return pipeline.content(place.store()), pipeline.feature_files(folder)


def done_as(folder: Path, ranges: Sequence[Range]) -> Outcome:
    """Do ranges one after the other, a run each, in a home of their own."""
    with place_in(folder) as place, daemon() as dagster:
        place.set("OTC_SOURCE_URL", FIXTURES)
        for each in ranges:
            assert dagster.do("ats_tables", tags=each.tags).success
        return outcome_in(place, folder)


@pytest.fixture(scope="module")
def of_one_run(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one run over all slices gives."""
    rows, files = done_as(tmp_path_factory.mktemp("one"), [Range(SLICES[0], SLICES[-1])])
    assert len(files) == len(SLICES)
    return rows, files


def assert_same(outcome: Outcome, other: Outcome) -> None:
    assert outcome[0] == other[0]
    assert outcome[1].keys() == other[1].keys()
    for path, rows in outcome[1].items():
        pd.testing.assert_frame_equal(rows, other[1][path], obj=path)


def test_a_backfill_becomes_runs_of_a_tiers_block_of_weeks(
    place: Place, tmp_path: Path, of_one_run: Outcome
):
    """By the call of the UI's dialog, through a code server of its own."""
    place.set("OTC_SOURCE_URL", FIXTURES)
    place.set("OTC_WEEKS_PER_RUN", 2)
    with daemon(target=CODE_SERVER) as dagster:
        launch_backfill(dagster.context, SLICES)
        assert dagster.backfill() == [BulkActionStatus.COMPLETED_SUCCESS]
        assert sorted(map(range_of, dagster.instance.get_runs())) == [
            f"{tier}|{first}...{tier}|{last}"
            for tier in ("NMS Tier 2", "OTC")
            for first, last in BLOCKS
        ]
    assert_same(outcome_in(place, tmp_path), of_one_run)


def test_blocks_in_any_order_give_what_one_run_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_one_run: Outcome
):
    monkeypatch.setenv("OTC_WEEKS_PER_RUN", "2")
    blocks = ranges_of(SLICES)
    assert len(blocks) == len(BLOCKS)
    monkeypatch.undo()
    assert_same(done_as(tmp_path, blocks[::-1]), of_one_run)
