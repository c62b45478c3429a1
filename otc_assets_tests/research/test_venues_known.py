"""Venues as known on a day are those of the revision that was known, wherever its rows are."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge
from otc_assets.research.knowledge import plain_store
from otc_assets.research.stacks import stack_of
from otc_assets.research.state import state_of
from otc_assets.research.timeline import timeline
from otc_assets.research.venues_known import slice_venues, symbol_venues, venue_share_known
from otc_assets_tests import pipeline

CORRECTED = WeekKey(Tier.NMS_TIER_1, date(2025, 5, 23))
BEFORE, CORRECTION = date(2025, 7, 15), date(2025, 7, 16)
SYMBOLS = ["FNWL", "XGON", "QRK.B", "PXDT"]


@pytest.fixture(scope="module")
def home(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that no other test's cache is asked."""
    return shutil.copytree(filled_home, tmp_path_factory.mktemp("known") / "home")


@pytest.fixture(scope="module")
def url(home: Path) -> str:
    return f"sqlite:///{home / 'otc.db'}"


@pytest.mark.parametrize("day", [None, BEFORE, CORRECTION])
def test_a_symbols_venues_are_those_of_the_slice_as_it_was_computed(url: str, day: date | None):
    store = plain_store("ats", url)
    with store.read() as reader:
        whole = Knowledge(reader, CORRECTED, day).compute("venue_volume")
    for symbol in SYMBOLS:
        rows = symbol_venues(symbol, day, database_url=url).rows
        mine = rows[rows["week_ending"] == str(CORRECTED.week_ending)]
        expected = whole[whole["symbol"] == symbol]
        assert mine["mpid"].tolist() == expected["mpid"].tolist()
        assert mine["share_volume"].tolist() == (expected["share_volume"] / 10**6).tolist()
        assert mine["trade_count"].tolist() == expected["trade_count"].tolist()


@pytest.mark.parametrize("day", [BEFORE, CORRECTION])
def test_shares_and_slices_of_a_day_are_computed_from_what_was_known(url: str, day: date):
    with plain_store("ats", url).read() as reader:
        known = Knowledge(reader, CORRECTED, day)
        shares, volumes = known.compute("venue_share"), known.compute("venue_volume")
    found = venue_share_known([CORRECTED.tier], [CORRECTED.week_ending], day, database_url=url)
    by_rank = shares.sort_values("rank")
    assert found["mpid"].tolist() == by_rank["mpid"].tolist()
    assert found["market_share_pct"].tolist() == pytest.approx(by_rank["market_share_pct"].tolist())
    rows = slice_venues(CORRECTED, day, database_url=url)
    assert rows["share_volume"].sum() == volumes["share_volume"].sum() / 10**6


def test_before_its_publication_nothing_of_a_week_is_known(url: str):
    day = date(2025, 6, 8)
    rows = symbol_venues("FNWL", day, database_url=url).rows
    assert set(rows["week_ending"].astype(str)) == {"2025-05-16"}
    assert slice_venues(CORRECTED, day, database_url=url).empty
    assert venue_share_known([CORRECTED.tier], [CORRECTED.week_ending], day, database_url=url).empty


@pytest.fixture
def pruned_url(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store whose rows of raw and venue_volume the archive alone keeps."""
    own = shutil.copytree(home, tmp_path / "own")
    monkeypatch.setenv("OTC_HOME", str(own))
    return pipeline.leave_to_archive(own)


@pytest.mark.parametrize("day", [None, BEFORE])
def test_weeks_in_the_archive_are_told_and_drawn_with_their_total(
    pruned_url: str, day: date | None
):
    store = plain_store("ats", pruned_url)
    venues: dict[str, Any] = {"database_url": pruned_url}
    then, now = (symbol_venues("FNWL", each, **venues) for each in (day, None))
    assert CORRECTED in then.archived
    assert then.rows.empty
    known = timeline(store, state_of(store), "FNWL").known(day)
    stack = stack_of(known, then, now)
    assert stack.archived == stack.weeks
    (series,) = stack.series
    assert series.values == [row["total_volume"] for row in known.values()]
