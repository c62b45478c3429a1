"""Dagster's own storage on PostgreSQL, with connections that stay open (see ``deploy``).

dagster-postgres opens one for every statement, except in the webserver: two to four for each event,
which were two thirds of what an event costs. Here runs and the daemon do as the webserver does.
"""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

NO_TIMEOUT = 0
RECYCLE_SECONDS = 3600
MAX_CONNECTIONS = 20


class PooledPostgresStorage(DagsterPostgresStorage):
    """Takes the configuration of dagster-postgres, and keeps its connections."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Build the storage from the section ``storage`` of dagster.yaml."""
        storage = cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )
        for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            part.optimize_for_webserver(NO_TIMEOUT, RECYCLE_SECONDS, MAX_CONNECTIONS)
        return storage
