"""What is scraped is what the store has by SQL, after any restart, and never more than that."""

import json
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from otc_assets.domain.tiers import Tier
from otc_assets.monitoring.catalog import CATALOG, OF_DAGSTER, OF_EVENTS, OF_SLICES, Kind
from otc_assets.monitoring.exporter import registry
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.monitoring.conftest import SLICES, Home, only, text_of

Values = dict[tuple[str, ...], float]
ATS_T1 = ("ats", "NMS Tier 1")


def values(text: str, name: str) -> Values:
    """Return a metric's samples by their labels' values.

    Dataset and tier come first.
    """
    return {
        tuple(
            label
            for _, label in sorted(
                sample.labels.items(), key=lambda pair: (pair[0] not in ("dataset", "tier"), pair)
            )
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def sql(home: Home, query: str) -> list[Any]:
    engine = sa.create_engine(home.url, connect_args=_options(home.url))
    with engine.connect() as connection:
        rows = connection.execute(sa.text(query)).all()
    engine.dispose()
    return list(rows)


def _options(url: str) -> dict[str, str]:
    return {"options": "-c search_path=otc"} if url.startswith("postgresql") else {}


def by_slice(home: Home, query: str) -> Values:
    """Return what a query counts by tier, of both datasets; TABLE is its table's prefix."""
    return {
        (dataset, *row[:-1]): float(row[-1])
        for dataset, prefix in (("ats", ""), ("non_ats", "non_ats_"))
        for row in sql(home, query.replace("PREFIX_", prefix))
    }


def without_zeros(found: Values) -> Values:
    return {labels: value for labels, value in found.items() if value}


REVISIONS = "FROM PREFIX_revisions GROUP BY tier"
COUNTED = {
    "otc_weeks_ingested_total": f"SELECT tier, count(DISTINCT week_ending) {REVISIONS}",
    "otc_files_ingested_total": f"SELECT tier, count(*) {REVISIONS}",
    "otc_revisions_total": "SELECT tier, count(*) FROM PREFIX_revisions "
    "WHERE source_revision > 1 GROUP BY tier",
    "otc_duplicate_records_total": f"SELECT tier, sum(repeat_count) {REVISIONS}",
    "otc_records_per_week_count": f"SELECT tier, count(*) {REVISIONS}",
    "otc_records_per_week_sum": f"SELECT tier, sum(row_count) {REVISIONS}",
    "otc_ingest_duration_seconds_count": f"SELECT tier, count(*) {REVISIONS}",
    "otc_rejects_total": "SELECT tier, reason_code, count(*) FROM PREFIX_rejects "
    "WHERE reason_code <> 'exact_repeat' GROUP BY tier, reason_code",
    "otc_dead_letters": "SELECT tier, count(*) FROM PREFIX_dead_letters GROUP BY tier",
    "otc_slices": "SELECT tier, status, count(*) FROM PREFIX_manifest GROUP BY tier, status",
    "otc_slices_graded": "SELECT tier, quality_grade, count(*) FROM PREFIX_manifest "
    "WHERE source_revision IS NOT NULL GROUP BY tier, quality_grade",
    "otc_checks_failed": "SELECT tier, severity, count(*) FROM PREFIX_quality_checks "
    "WHERE NOT passed AND NOT is_expected GROUP BY tier, severity",
    "otc_quality_score": "SELECT tier, CAST(week_ending AS text), quality_score "
    "FROM PREFIX_manifest WHERE quality_score IS NOT NULL",
    "otc_week_loaded": "SELECT tier, CAST(week_ending AS text), 1 FROM PREFIX_manifest "
    "WHERE source_revision IS NOT NULL",
}
"""What each metric counts, in SQL on the tables that it is not made from where there are such."""


@pytest.mark.parametrize("name", COUNTED)
def test_a_metric_is_what_the_store_has_by_sql(name: str, busy: Home, scraped: str):
    expected = without_zeros(by_slice(busy, COUNTED[name]))
    assert without_zeros(values(scraped, name)) == expected
    assert expected


def test_the_lines_of_all_files_are_told_by_what_became_of_them(busy: Home, scraped: str):
    found = values(scraped, "otc_records_parsed_total")
    for status, column in (
        ("success", "row_count"),
        ("skipped", "repeat_count"),
        ("error", "reject_count"),
    ):
        counted = by_slice(busy, f"SELECT tier, sum({column}) {REVISIONS}")
        shown = {labels[:2]: n for labels, n in found.items() if labels[2] == status}
        assert without_zeros(shown) == without_zeros(counted)


def test_rows_written_are_those_that_the_events_tell_of(busy: Home, scraped: str):
    written: Counter[tuple[str, ...]] = Counter()
    for name, payload in sql(
        busy, "SELECT aggregate_id, CAST(payload AS text) FROM events WHERE aggregate_type='slice'"
    ):
        facts = json.loads(payload)
        if facts.get("status") in ("ingested", "written"):
            dataset, tier = name.split(" ", 1)
            tier = tier.rsplit(":", 1)[0]
            written[dataset, tier, facts.get("table", "raw")] += facts["rows"]
    assert without_zeros(values(scraped, "otc_rows_written_total")) == without_zeros(dict(written))


def test_archived_bytes_are_the_sizes_of_the_files_in_the_archive(busy: Home, scraped: str):
    sizes: Counter[tuple[str, ...]] = Counter()
    for path in busy.archive.rglob("*.*"):
        if not path.is_file() or path.name.startswith("."):
            continue
        where = str(path.relative_to(busy.archive))
        tier = next(t for t in Tier if f"/{t.slug}/" in f"/{where}")
        sizes["non_ats" if "non_ats" in where else "ats", tier] += path.stat().st_size
    assert without_zeros(values(scraped, "otc_archived_bytes_total")) == sizes


def test_what_lacks_is_counted_and_aged_on_the_day_of_the_scrape(scraped: str):
    """Of Tier 1, the week of 30 May was refused; 6, 13, 20 and 27 June were due by 20 July."""
    found = scraped
    assert values(found, "otc_weeks_missing")[ATS_T1] == 5
    # It was due on 16 June, 34 days before; so is the first after the newest.
    assert values(found, "otc_oldest_gap_days")[ATS_T1] == 34
    assert values(found, "otc_ingestion_lag_days")[ATS_T1] == 34
    assert values(found, "otc_latest_week_timestamp")[ATS_T1] == 1747958400  # 23 May, 0:00 UTC
    lacking = {labels[2] for labels, n in values(found, "otc_week_loaded").items() if not n}
    assert {"2025-05-30", "2025-06-27"} <= lacking


def test_the_newest_week_is_compared_with_those_before_it(busy: Home, scraped: str):
    found = scraped
    volumes = "FROM PREFIX_venue_volume WHERE tier = 'NMS Tier 1' AND week_ending ="
    rows = by_slice(busy, f"SELECT tier, count(*) {volumes} '2025-05-23' GROUP BY tier")
    assert values(found, "otc_latest_week_records")[ATS_T1] == rows[ATS_T1]
    before = by_slice(busy, f"SELECT tier, count(*) {volumes} '2025-05-16' GROUP BY tier")
    assert values(found, "otc_usual_week_records")[ATS_T1] == before[ATS_T1]
    gone = sql(
        busy,
        "SELECT count(DISTINCT symbol) FROM venue_volume WHERE tier = 'NMS Tier 1' AND "
        "week_ending = '2025-05-16' AND symbol NOT IN (SELECT symbol FROM venue_volume "
        "WHERE tier = 'NMS Tier 1' AND week_ending = '2025-05-23')",
    )
    assert values(found, "otc_missing_symbols")[ATS_T1] == gone[0][0]


def test_failures_are_the_rules_that_cost_a_slice_its_grade(busy: Home, scraped: str):
    found = values(scraped, "otc_validation_failures_total")
    graded = [
        (name, json.loads(payload))
        for name, payload in sql(
            busy,
            "SELECT aggregate_id, CAST(payload AS text) FROM events "
            "WHERE event_type = 'QUALITY_GRADE_ASSIGNED'",
        )
    ]
    assert sum(found.values()) == sum(len(facts["failed"]) for _, facts in graded) > 0
    assert all(bool(facts["failed"]) == (facts["quality_score"] < 1) for _, facts in graded)


def test_an_exporter_that_has_followed_says_what_a_fresh_one_does(
    sqlite_url: str, tmp_path: Path, settings: pytest.MonkeyPatch
):
    settings.setenv("OTC_DATABASE_URL", sqlite_url)
    warehouse, following = Warehouse(sqlite_url), None
    for week in SLICES[:2]:
        pipeline.run(warehouse, FIXTURES, tmp_path / "archive", [week])
        following = following or registry()
        assert counters(following) == counters(registry())
        assert (
            values(text_of(following), "otc_weeks_ingested_total")[ATS_T1] == SLICES.index(week) + 1
        )
    warehouse.close()


def test_another_store_in_the_place_of_the_first_is_counted_from_its_own_begin(
    sqlite_url: str, tmp_path: Path, filled_home: Path, settings: pytest.MonkeyPatch
):
    path = tmp_path / "put here.db"
    settings.setenv("OTC_DATABASE_URL", f"sqlite:///{path}")
    shutil.copy(filled_home / "otc.db", path)
    exporter = registry()
    assert values(text_of(exporter), "otc_weeks_ingested_total")[ATS_T1] == 2
    Path(f"{path}-wal").unlink(missing_ok=True)
    Path(f"{path}-shm").unlink(missing_ok=True)
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), tmp_path / "another")
    os.replace(tmp_path / "another", path)
    assert values(text_of(exporter), "otc_weeks_ingested_total")[ATS_T1] == 0


def counters(exporter: CollectorRegistry) -> dict[str, Values]:
    text, names = (
        text_of(exporter),
        [metric.name for metric in OF_EVENTS if metric.kind is Kind.COUNTER],
    )
    return {name: values(text, name) for name in names}


def test_no_series_is_of_a_symbol_and_each_metric_is_in_the_catalog(scraped: str):
    described = {metric.name: set(metric.labels) for metric in CATALOG}
    assert not any({"symbol", "mpid"} & labels for labels in described.values())
    for family in text_string_to_metric_families(scraped):
        name = family.name + ("_total" if family.type == "counter" else "")
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == described[name]


def test_without_a_store_the_scrape_says_so_and_makes_none(
    tmp_path: Path, settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    settings.setenv("OTC_HOME", str(tmp_path / "nothing"))
    exporter = registry()
    found = text_of(exporter)
    assert values(found, "otc_readable") == {("store",): 0, ("archive",): 1, ("dagster",): 0}
    assert values(found, "otc_weeks_missing") == {}
    assert len(values(found, "otc_build_info")) == 1
    assert list(tmp_path.iterdir()) == []
    assert "there is no store" in caplog.text
    assert "DAGSTER_HOME is not set" in caplog.text
    said = len(caplog.records)
    text_of(exporter)
    assert len(caplog.records) == said  # once, and not at each scrape


def test_the_age_of_the_archives_copy_is_what_its_file_says(
    tmp_path: Path, settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    settings.setenv("OTC_ARCHIVE_URL", str(tmp_path))
    (tmp_path / ".otc-backup").write_text("2025-07-19T03:00:00Z\n")
    assert values(text_of(registry()), "otc_archive_backup_timestamp_seconds") == {(): 1752894000}
    (tmp_path / ".otc-backup").write_text("yesterday")
    found = text_of(registry())
    assert values(found, "otc_archive_backup_timestamp_seconds") == {}
    assert values(found, "otc_readable")["archive",] == 0
    assert "'yesterday'" in caplog.text


def test_one_exporter_answers_scrapes_that_come_together(busy: Home, scraped: str):
    with only(OTC_DATABASE_URL=busy.url), ThreadPoolExecutor(4) as threads:
        exporter = registry()
        texts = list(threads.map(lambda _: text_of(exporter), range(4)))
    rows = "otc_rows_written_total"
    assert all(values(text, rows) == values(scraped, rows) for text in texts)


SEEDS = {
    "otc_weeks_ingested_total",
    "otc_weeks_missing",
    "otc_records_per_week",
    "otc_quality_score",
    "otc_validation_failures_total",
    "otc_latest_week_timestamp",
    "otc_ingestion_lag_days",
    "otc_duplicate_records_total",
    "otc_missing_symbols",
    "otc_files_ingested_total",
    "otc_records_parsed_total",
    "otc_ingest_duration_seconds",
    "otc_summary_duration_seconds",
}
"""The names of the design, its sections 7.1 and 8; counters end in _total."""


def test_every_name_of_the_design_is_scraped(scraped: str):
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(scraped)
    }
    assert shown >= SEEDS
    assert {metric.name for metric in (*OF_EVENTS, *OF_SLICES)} <= shown
    assert not {metric.name for metric in OF_DAGSTER} & shown  # there is no instance here
