"""What Dagster's UI asks of its server when somebody clicks."""

import asyncio
from collections.abc import Iterable
from typing import Any

from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.schema import create_schema

from otc_assets.assets.features import FEATURES_KEY
from otc_assets.assets.partitions import partition_key_of, table_keys
from otc_assets.domain.datasets import ATS
from otc_assets.domain.weeks import WeekKey

CODE_SERVER = ModuleTarget(
    module_name="otc_assets.definitions",
    attribute="defs",
    working_directory=None,
    location_name="otc",
)
"""The code location in a process of its own, as `dagster dev` starts it."""
LAUNCH = """
mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""


def ask(process: WorkspaceProcessContext, query: str, **variables: Any) -> dict[str, Any]:
    """Return the answer to a GraphQL query."""
    asked = create_schema().execute_async(
        query, context_value=process.create_request_context(), variable_values=variables
    )
    answer = asyncio.run(asked)
    assert answer.data, answer.errors
    return answer.data


def launch_backfill(process: WorkspaceProcessContext, slices: Iterable[WeekKey]) -> str:
    """Select slices of every ATS table and the features, and click on "Launch backfill"."""
    answer = ask(
        process,
        LAUNCH,
        backfillParams={
            "assetSelection": [{"path": key.path} for key in (*table_keys(ATS), FEATURES_KEY)],
            "partitionNames": [partition_key_of(week) for week in slices],
        },
    )["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])
