"""The one resource: where the rows, the source files and their archive are."""

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import dagster as dg

from otc_assets.settings import setting
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource, SourceIndex
from otc_assets.warehouse.store import RunIds, Warehouse


@cache
def _warehouse(url: str) -> Warehouse:
    return Warehouse(url)  # one engine in a process, however many steps use it


@cache
def _source(url: str) -> FileSource:
    return FileSource(url)  # remembers which files it has looked into


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Warehouse, source and archive; what is empty here comes from the environment at run time."""

    database_url: str = ""
    """Default: OTC_DATABASE_URL."""
    source_url: str = ""
    """Default: OTC_SOURCE_URL."""
    archive_url: str = ""
    """Default: OTC_ARCHIVE_URL."""

    @property
    def warehouse(self) -> Warehouse:
        """The store, migrated."""
        return _warehouse(self.database_url or setting("OTC_DATABASE_URL"))

    @property
    def archive(self) -> Archive:
        """The archive of the bytes."""
        return Archive(self.archive_url or setting("OTC_ARCHIVE_URL"))

    def source_index(self) -> SourceIndex:
        """Return which source files there are for which slice, today."""
        return _source(self.source_url or setting("OTC_SOURCE_URL")).index(today())


def today() -> date:
    """Return today's date where FINRA is."""
    return datetime.now(ZoneInfo("America/New_York")).date()


def run_ids(run: dg.DagsterRun) -> RunIds:
    """Return the lineage ids of a run: itself, and the backfill or root run that it is part of."""
    correlation = run.tags.get("dagster/backfill") or run.root_run_id or run.run_id
    return RunIds(run.run_id, correlation)
