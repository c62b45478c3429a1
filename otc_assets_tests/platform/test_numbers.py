"""Numbers in the event log of a real run, against those that the fixture files themselves give."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timezone
from functools import cached_property
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from otc_assets.assets.metadata import slice_metadata
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.outcome import SliceOutcome
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.platform.station import CHECKS, RECTANGLE, Station

NEW_YORK = ZoneInfo("America/New_York")
STARTED = datetime.now(NEW_YORK).date()


@dataclass(frozen=True)
class Weekly:
    """A fixture file, read line by line."""

    name: str
    published: date
    rejects: int = 0

    @cached_property
    def lines(self) -> list[list[str]]:
        """The good lines; a refused one of these files has no symbol."""
        _, *lines = (FIXTURES / self.name).read_text().splitlines()
        return [fields for line in lines if (fields := line.split("|"))[1]]

    @property
    def symbols(self) -> set[str]:
        return {fields[1] for fields in self.lines}

    def numbers(self) -> dict[str, int]:
        return {
            "rows": len(self.lines),
            "shares": sum(int(fields[5]) for fields in self.lines),
            "trades": sum(int(fields[6]) for fields in self.lines),
            "symbols": len(self.symbols),
            "venues": len({fields[4] for fields in self.lines}),
        }


FILES = {
    "NMS Tier 2|2025-05-16": Weekly("finra_otc_weekly_tier2_20250616.csv", date(2025, 6, 16)),
    "NMS Tier 2|2025-05-23": Weekly("finra_otc_weekly_tier2_20250623.csv", date(2025, 6, 23)),
    "OTC|2025-05-16": Weekly("finra_otc_weekly_otc_20250616.csv", date(2025, 6, 16), rejects=1),
    "OTC|2025-05-23": Weekly("finra_otc_weekly_otc_20250623.csv", date(2025, 6, 23)),
}

SHOWN = {
    "raw": {"rows", "shares", "trades", "symbols", "venues"},
    "venue_volume": {"rows", "shares", "trades", "symbols", "venues"},
    "symbol_summary": {"shares", "trades", "symbols"},
    "venue_share": {"shares", "trades", "venues"},
    "rolling_6w": {"shares"},
    "concentration": {"symbols"},
    "liquidity_score": {"symbols"},
    "research_snapshot": {"shares", "trades", "symbols"},
    "features": {"symbols"},
}
"""The numbers of each asset that are those of the file."""


def test_the_files_are_those_of_the_range():
    assert set(FILES) == RECTANGLE


@pytest.mark.parametrize("table", SHOWN)
def test_each_partition_has_the_numbers_of_its_file(station: Station, table: str):
    for partition, file in FILES.items():
        stored = station.numbers(table, partition)
        found = stored | {"rows": stored["dagster/partition_row_count"]}
        expected = {name: number for name, number in file.numbers().items() if name in SHOWN[table]}
        assert {name: found[name] for name in expected} == expected


def test_the_lag_is_from_publication_to_our_store(station: Station):
    today = datetime.now(NEW_YORK).date()
    for partition, file in FILES.items():
        lag = station.numbers("raw", partition)["lag_days"]
        assert lag in {(day - file.published).days for day in (STARTED, today)}


@pytest.mark.parametrize("zone", [UTC, None])  # SQLite gives no zone
def test_the_lag_counts_days_in_new_york(zone: timezone | None):
    evening = datetime(2025, 6, 17, 3, 30, tzinfo=zone)  # still the 16th in New York
    week, rows = WeekKey(Tier.OTC, date(2025, 5, 16)), pd.DataFrame()
    outcome = SliceOutcome(week, "raw", SliceStatus.LOADED, rows, stored_at=evening)
    assert "lag_days" not in slice_metadata(outcome)
    outcome.published = date(2025, 6, 16)
    assert slice_metadata(outcome)["lag_days"] == 0


@pytest.mark.parametrize(("table", "name"), CHECKS)
def test_every_check_has_its_numbers_in_each_partition(station: Station, table: str, name: str):
    for partition in FILES:
        found = station.check_numbers(table, name, partition)
        assert (found["score"], found["rules_failed"]) == (1.0, 0)
        assert found["rules"] >= 1
        assert found["rows"] == station.numbers(table, partition)["dagster/partition_row_count"]


def test_the_check_of_raw_counts_the_rejected_lines(station: Station):
    for partition, file in FILES.items():
        found = station.check_numbers("raw", "rows_are_sound", partition)
        assert found["rejects"] == file.rejects


@pytest.mark.parametrize("tier", ["NMS Tier 2", "OTC"])
def test_the_check_of_venue_volume_compares_with_the_weeks_before(station: Station, tier: str):
    before, week = FILES[f"{tier}|2025-05-16"], FILES[f"{tier}|2025-05-23"]
    found = station.check_numbers("venue_volume", "week_is_usual", f"{tier}|2025-05-23")
    of_average = 100 * len(week.lines) / len(before.lines)
    gone = 100 * len(before.symbols - week.symbols) / len(before.symbols)
    assert found["rows_vs_average_pct"] == pytest.approx(of_average, abs=0.051)
    assert found["symbols_gone_pct"] == pytest.approx(gone, abs=0.0051)


def test_the_check_of_the_features_has_numbers_too(station: Station):
    for partition in FILES:
        found = station.check_numbers(
            "features", "features_are_known_once_and_not_too_early", partition
        )
        rows = station.numbers("features", partition)["dagster/partition_row_count"]
        assert found == {"score": 1.0, "rules_failed": 0, "rows": rows}


@pytest.mark.parametrize(
    ("millionths", "shares"),
    [
        ([3_000_000_000_000_000], 3_000_000_000),  # more than 32 bits
        ([1_500_000, 500_001], 2.000001),
    ],
)
def test_whole_shares_are_whole_numbers_and_parts_are_floats(
    millionths: list[int], shares: int | float
):
    rows = pd.DataFrame({"symbol": "AAA", "mpid": "PLUM", "share_volume": millionths})
    week = WeekKey(Tier.OTC, date(2025, 5, 16))
    shown = slice_metadata(SliceOutcome(week, "venue_volume", SliceStatus.LOADED, rows))["shares"]
    assert (type(shown), shown) == (type(shares), shares)
