"""An ephemeral Dagster instance on a store of its own, and what its event log says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from otc_assets.assets.platform import Platform
from otc_assets.calculations import output_tables
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES

TABLES = ["raw", *(table.name for table in output_tables())]
FIRST, LAST = "NMS Tier 2|2025-05-16", "OTC|2025-05-23"
RECTANGLE = {
    f"{tier}|{week}" for tier in ("NMS Tier 2", "OTC") for week in ("2025-05-16", "2025-05-23")
}
DONE = (AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED)


class Station:
    """An ephemeral instance, and the platform's definitions on a store of its own."""

    def __init__(
        self,
        folder: Path,
        source: Path = FIXTURES,
        instance: dg.DagsterInstance | None = None,
    ) -> None:
        self.instance = instance or dg.DagsterInstance.ephemeral()
        self.warehouse = Warehouse(f"sqlite:///{folder / 'otc.db'}")
        platform = Platform(
            database_url=self.warehouse.url,
            source_url=str(source),
            archive_url=str(folder / "archive"),
            features_url=str(folder / "features"),
            page_url=str(folder / "page.html"),
        )
        self.job = build_defs([ATS], platform=platform).resolve_implicit_global_asset_job_def()

    def run(self, selection: list[str] | None = None, **how: Any) -> dg.ExecuteInProcessResult:
        keys = [dg.AssetKey(name) for name in selection] if selection else None
        return self.job.execute_in_process(
            instance=self.instance, asset_selection=keys, raise_on_error=False, **how
        )

    def run_range(self, first: str, last: str, **how: Any) -> dg.ExecuteInProcessResult:
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        return self.run(tags=tags, **how)

    def checks(self, table: str, name: str) -> dict[str | None, Any]:
        """Return the newest record of each partition of a check."""
        key = dg.AssetCheckKey(dg.AssetKey(table), name)
        storage = self.instance.event_log_storage
        records = storage.get_asset_check_execution_history(key, limit=1000)
        return {record.partition: record for record in reversed(records)}

    def partitions_that_show_a_verdict(self, table: str, name: str) -> set[str]:
        """Return the partitions that the UI shows as judged: of their newest materialization."""
        key = dg.AssetCheckKey(dg.AssetKey(table), name)
        found = self.instance.event_log_storage.get_asset_check_partition_info([key])
        return {info.partition_key for info in found if info.partition_key and info.is_current}

    def materialized(self, table: str) -> set[str]:
        return self.instance.get_materialized_partitions(dg.AssetKey(table))

    def newest(self, table: str, partition: str) -> dg.EventLogRecord:
        """Return the newest materialization of a partition."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(table), asset_partitions=[partition]), limit=1
        ).records
        return records[0]

    def entries(self, table: str, partition: str) -> Mapping[str, dg.MetadataValue[Any]]:
        """Return the metadata of the newest materialization of a partition."""
        event = self.newest(table, partition).asset_materialization
        assert event is not None
        return event.metadata

    def metadata(self, table: str, partition: str) -> dict[str, Any]:
        return {name: value.value for name, value in self.entries(table, partition).items()}

    def numbers(self, table: str, partition: str) -> dict[str, int | float]:
        """Return what is stored of a partition as a number, and would be plotted."""
        return _numbers(self.entries(table, partition))

    def check_numbers(self, table: str, name: str, partition: str) -> dict[str, int | float]:
        """Return the same of the newest evaluation of a check."""
        record = self.checks(table, name)[partition]
        return _numbers(record.event.dagster_event.asset_check_evaluation_data.metadata)


def _numbers(entries: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, int | float]:
    plotted = dg.IntMetadataValue | dg.FloatMetadataValue
    return {name: entry.value for name, entry in entries.items() if isinstance(entry, plotted)}


CHECKS = [
    (check.asset_key.to_user_string(), check.name)
    for definition in build_defs([ATS]).asset_checks or []
    for check in definition.check_specs
    if check.asset_key.path[0] in TABLES
]
