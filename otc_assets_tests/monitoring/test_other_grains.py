"""Months and days are watched as weeks are once somebody has them, and cost one query before.

The store has May of the ATS blocks and two days of short sales, and was given a first file of the
non-ATS blocks that is cut off. The days are counted by hand, on a calendar.
"""

import shutil
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.neighbours import ATS_BLOCKS, OTC_BLOCKS, REG_SHO_DAILY
from otc_assets.monitoring import standing
from otc_assets.monitoring.catalog import Samples
from otc_assets.monitoring.exporter import registry
from otc_assets.monitoring.instance import scheduled_jobs
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.monitoring.conftest import only, text_of
from otc_assets_tests.monitoring.test_exporter import Values, values

TODAY = date(2025, 8, 13)
"""A Wednesday; June was to be published on Monday, the 4th."""
BLOCKS, DEALERS, DAYS = ((each.name, "all") for each in (ATS_BLOCKS, OTC_BLOCKS, REG_SHO_DAILY))
WHOLE = "ats_blocks/finra_ats_blocks_month_2025-05-01.csv"
CUT_OFF = "finra_otc_blocks_month_2025-05-01.csv"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grains")
    source = folder / "source"
    source.mkdir()
    (source / CUT_OFF).write_bytes((FIXTURES / "otc_blocks" / CUT_OFF).read_bytes()[:-5])
    for name in (WHOLE, *(f"reg_sho_daily/CNMSshvol{day}.txt" for day in (20250630, 20250701))):
        shutil.copy(FIXTURES / name, source)
    for dataset, periods in (
        (ATS_BLOCKS, [date(2025, 5, 1)]),
        (OTC_BLOCKS, [date(2025, 5, 1)]),
        (REG_SHO_DAILY, [date(2025, 6, 30), date(2025, 7, 1)]),
    ):
        warehouse = Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset)
        slices = [dataset.key("all", period) for period in periods]
        pipeline.run(warehouse, source, folder / "archive", slices)
        warehouse.engine.dispose()
    return folder


@pytest.fixture(scope="module")
def scraped(home: Path) -> str:
    with only(OTC_HOME=str(home)) as patch:
        patch.setattr(standing, "today", lambda: TODAY)
        return text_of(registry())


def of(found: Values, place: tuple[str, str]) -> Values:
    return {labels[2:]: value for labels, value in found.items() if labels[:2] == place}


def test_a_month_that_lacks_is_as_late_as_its_publication(scraped: str):
    for name in ("otc_oldest_gap_days", "otc_ingestion_lag_days"):
        assert values(scraped, name)[BLOCKS] == 9  # the 4th to the 13th
    assert values(scraped, "otc_weeks_missing")[BLOCKS] == 1
    assert values(scraped, "otc_latest_week_timestamp")[BLOCKS] == 1746057600  # 2025-05-01, 0:00


def test_days_that_lack_are_those_on_which_the_market_was_open(scraped: str):
    """From 2 July to 13 August; the 4th of July is a Friday."""
    assert values(scraped, "otc_weeks_missing")[DAYS] == 2 + 4 * 5 + 5 + 3
    assert values(scraped, "otc_oldest_gap_days")[DAYS] == 42
    loaded = of(values(scraped, "otc_week_loaded"), DAYS)
    assert {day for (day,), there in loaded.items() if there} == {"2025-06-30", "2025-07-01"}
    assert ("2025-07-04",) not in loaded


def test_a_period_is_named_by_its_first_day_and_has_its_score(scraped: str):
    assert of(values(scraped, "otc_week_loaded"), BLOCKS) == {
        ("2025-05-01",): 1,
        ("2025-06-01",): 0,
    }
    assert of(values(scraped, "otc_quality_score"), BLOCKS)["2025-05-01",] == 1


def test_what_was_taken_in_is_counted(scraped: str):
    lines = (FIXTURES / WHOLE).read_text().splitlines()
    assert values(scraped, "otc_files_ingested_total")[BLOCKS] == 1
    assert values(scraped, "otc_revisions_total")[BLOCKS] == 0
    parsed = of(values(scraped, "otc_records_parsed_total"), BLOCKS)
    assert parsed["success",] == len(lines) - 1  # without the header


def test_a_first_file_that_is_refused_is_a_dead_letter_and_no_gap(scraped: str):
    assert values(scraped, "otc_dead_letters")[DEALERS] == 1
    assert values(scraped, "otc_weeks_missing")[DEALERS] == 0
    assert of(values(scraped, "otc_slices"), DEALERS)["refused",] == 1


def test_a_dataset_that_nobody_has_is_in_no_metric(scraped: str, filled_home: Path):
    def named(text: str) -> set[str]:
        families = text_string_to_metric_families(text)
        return {s.labels["dataset"] for f in families for s in f.samples if "dataset" in s.labels}

    weekly = {each.name for each in DATASETS}
    assert named(scraped) == weekly | {"ats_blocks", "otc_blocks", "reg_sho_daily"}
    with only(OTC_HOME=str(filled_home)):
        assert named(text_of(registry())) == weekly


def test_a_dataset_that_nobody_has_costs_one_query(filled_home: Path):
    store, asked = Store(f"sqlite:///{filled_home / 'otc.db'}", ATS_BLOCKS), list[str]()
    sa.event.listen(store.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    samples = Samples()
    for _ in range(2):
        assert not standing.collect_slices(store, samples)
    once = [statement.split()[0] for statement in asked]
    assert once == ["BEGIN", "PRAGMA", "SELECT", "BEGIN", "PRAGMA"]  # was anything committed?
    assert list(samples) == []
    store.close()


def test_what_is_committed_shows_in_the_next_scrape(
    sqlite_url: str, tmp_path: Path, settings: pytest.MonkeyPatch
):
    settings.setenv("OTC_DATABASE_URL", sqlite_url)
    exporter, warehouse = registry(), Warehouse(sqlite_url, ATS_BLOCKS)
    assert BLOCKS not in values(text_of(exporter), "otc_weeks_missing")
    for month in (date(2025, 6, 1), date(2025, 5, 1)):
        pipeline.run(warehouse, FIXTURES, tmp_path, [ATS_BLOCKS.key("all", month)])
        loaded = of(values(text_of(exporter), "otc_slices"), BLOCKS)["loaded",]
        assert loaded == {6: 1, 5: 2}[month.month]
    warehouse.engine.dispose()


def test_nobody_misses_the_corrections_of_a_dataset_that_nobody_has():
    assert not [job for job in scheduled_jobs(DATASETS) if "blocks" in job]
    assert "ats_blocks_corrections" in scheduled_jobs([ATS_BLOCKS])
