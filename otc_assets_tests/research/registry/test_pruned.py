"""Where the archive alone keeps the records, the registry is what it was before."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from otc_assets.operations.recall import UnreadableError
from otc_assets.research import venue_registry
from otc_assets.warehouse.store import Store
from otc_assets_tests import pipeline
from otc_assets_tests.research.registry.history import CORRECTED, friday

ON_ITS_DAY, TODAY = "2024-06-01", None
"""Before the correction of week 9, and before week 20 was public; and now."""


@pytest.fixture(scope="module")
def pruned_url(venue_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The history, of whose first half the store has no records any more."""
    own = shutil.copytree(venue_home, tmp_path_factory.mktemp("pruned") / "own")
    return pipeline.leave_to_archive(own, pipeline.TODAY - friday(10))


@pytest.fixture
def archive(venue_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive of the home that was copied, which has the same bytes."""
    monkeypatch.setenv("OTC_HOME", str(venue_home))


def test_half_of_the_weeks_are_in_the_archive_alone(pruned_url: str):
    with Store(pruned_url).read() as reader:
        pruned = {name: {w for w, _ in reader.pruned(name)} for name in ("raw", "venue_volume")}
    assert pruned["raw"] == pruned["venue_volume"]
    assert {week.week_ending for week in pruned["raw"]} == {friday(n) for n in range(1, 11)}
    assert friday(CORRECTED) in {week.week_ending for week in pruned["raw"]}


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("day", [TODAY, ON_ITS_DAY])
def test_names_and_successors_of_pruned_weeks_are_not_forgotten(
    day: str | None, pruned_url: str, sqlite_history: str
):
    whole = venue_registry(day, "ats", sqlite_history)
    assert whole["name"].notna().all()
    pd.testing.assert_frame_equal(venue_registry(day, "ats", pruned_url), whole)


@pytest.mark.usefixtures("archive")
def test_of_a_week_that_was_corrected_later_the_older_names_count(pruned_url: str):
    """Week 9 was the first under the new name, until it was published again."""
    then = venue_registry(ON_ITS_DAY, "ats", pruned_url)
    now = venue_registry(None, "ats", pruned_url)
    begins = [each[each["name"] == "ELM MIDPOINT ATS"]["valid_from"].item() for each in (then, now)]
    assert [each.date() for each in begins] == [friday(9), friday(10)]


def test_without_its_archive_the_registry_does_not_guess(
    pruned_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_HOME", str(tmp_path))
    with pytest.raises(UnreadableError, match="archive"):
        venue_registry("2024-05-20", "ats", pruned_url)
