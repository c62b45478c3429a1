"""Where the archive alone keeps the records, who was there is known, but not under which name."""

import shutil
from pathlib import Path

import pytest

from otc_assets.research import venue_registry
from otc_assets_tests import pipeline
from otc_assets_tests.research.registry.history import friday


@pytest.fixture(scope="module")
def pruned_url(venue_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The history, of which the store has no records any more."""
    own = shutil.copytree(venue_home, tmp_path_factory.mktemp("pruned") / "own")
    return pipeline.leave_to_archive(own)


def test_first_and_last_weeks_are_known_without_the_records(pruned_url: str):
    rows = venue_registry(dataset="ats", database_url=pruned_url)
    lives = [(r.venue, r.valid_from.date(), r.last_week.date()) for r in rows.itertuples()]
    assert lives == [
        ("BACK", friday(1), friday(3)),
        ("BACK", friday(18), friday(20)),
        ("GONE", friday(1), friday(12)),
        ("NEWB", friday(11), friday(20)),
        ("OLDA", friday(1), friday(10)),
        ("OTCV", friday(15), friday(18)),
        ("RENM", friday(1), friday(20)),
        ("REUS", friday(1), friday(20)),
        ("SPEL", friday(1), friday(20)),
    ]
    assert rows["name"].isna().all()
    assert rows["successor"].isna().all()


def test_an_older_revision_is_read_from_the_archive(
    pruned_url: str, venue_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_HOME", str(venue_home))  # its archive has the same bytes
    rows = venue_registry("2024-06-01", "ats", pruned_url).set_index("venue")
    # Week 9 was corrected later, and week 20 is not public yet.
    assert (rows.at["RENM", "weeks_seen"], rows.at["RENM", "weeks_known"]) == (19, 19)
