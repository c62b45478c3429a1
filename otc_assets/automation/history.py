"""Fetching FINRA's history: backfills of all that FINRA lists and the store lacks, oldest first.

The oldest weeks vanish first. Each backfill is a block of weeks of all tiers and both datasets, and
Dagster's daemon does them in the order in which they were requested. Nothing of it is remembered
but the backfills themselves: what is left to do is what the store lacks.
"""

import time
from collections.abc import Sequence
from typing import Any

import dagster as dg

from otc_assets.assets.platform import Platform
from otc_assets.automation.backfills import (
    CANCELED,
    UNDER_WAY,
    request_backfill,
    tagged_backfills,
)
from otc_assets.domain.calendar import NEW_YORK, today
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.months import this_month
from otc_assets.operations.offers import Progress, progress_of
from otc_assets.sources.errors import SourceError

TAG = "otc/fetch_history"
"""Of the backfills that fetch history, and of their runs; its value is the month of the request."""
BLOCK_WEEKS = 13
DAEMON = "BACKFILL"
HEARTBEAT_SECONDS = 300


def look(platform: Platform) -> list[Progress]:
    """Ask FINRA what it lists; return how much of it the store has of each dataset.

    Raises:
        SourceError: FINRA cannot be asked.

    """
    found = []
    for dataset in DATASETS:
        offers = platform.offers(dataset)
        with platform.warehouse(dataset).read() as reader:
            found.append(progress_of(reader, offers, today()))
    platform.store_counts()
    return found


def request_history(instance: dg.DagsterInstance, found: Sequence[Progress]) -> list[str]:
    """Request what lacks, a backfill for each block of weeks; return their ids, oldest first."""
    fridays = sorted({week.week_ending for each in found for week in each.lacking})
    ids = []
    for start in range(0, len(fridays), BLOCK_WEEKS):
        block = fridays[start : start + BLOCK_WEEKS]
        slices = {
            each.dataset: [week for week in each.lacking if week.week_ending in block]
            for each in found
        }
        wanted = {dataset: weeks for dataset, weeks in slices.items() if weeks}
        title = f"FINRA's history: weeks ending {block[0]} to {block[-1]}"
        tags = {TAG: f"{this_month():%Y-%m}"}
        ids.append(request_backfill(instance, wanted, title, tags))
    return ids


def under_way(instance: dg.DagsterInstance) -> list[Any]:
    """Return the backfills of history that are not over, newest first."""
    return [each for each in tagged_backfills(instance, TAG) if each.status in UNDER_WAY]


def is_daemon_alive(instance: dg.DagsterInstance) -> bool:
    """Tell whether a daemon has lately looked for backfills."""
    beat = instance.get_daemon_heartbeats().get(DAEMON)
    return beat is not None and time.time() - beat.timestamp < HEARTBEAT_SECONDS


@dg.op(name="request_history")
def request_what_lacks(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Request what FINRA lists and the store lacks, unless that is under way."""
    if under_way(context.instance):
        context.log.info("history is being fetched: nothing more is requested")
        return
    try:
        found = look(platform)
    except SourceError as error:
        raise dg.Failure(f"FINRA cannot be asked now, run this again: {error}") from error
    for each in found:
        context.log.info(str(each))
    requested = request_history(context.instance, found)
    context.log.info(f"{len(requested)} backfills were requested; Dagster's daemon does them")


@dg.job(
    name="fetch_history",
    description="Requests backfills of all weeks that FINRA lists and the store lacks, of both "
    "datasets, oldest first; as `otc fetch-history` does.",
)
def fetch_history() -> None:
    """Fetch FINRA's history."""
    request_what_lacks()


@dg.schedule(
    job=fetch_history,
    name="fetch_history_monthly",
    cron_schedule="0 6 1 * *",
    execution_timezone=NEW_YORK.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Goes on with history where a month's volume has ended it (OTC_GIGABYTES_PER_"
    "MONTH). Does nothing where nobody has asked for history, or the last backfill of it was "
    "canceled.",
)
def fetch_history_monthly(context: dg.ScheduleEvaluationContext) -> Any:
    """Request a run of the job if history was asked for in an earlier month."""
    newest = next(iter(tagged_backfills(context.instance, TAG)), None)
    if newest is None:
        return dg.SkipReason("nobody has asked for history (`otc fetch-history`)")
    if newest.status in CANCELED:
        return dg.SkipReason("the last backfill of history was canceled")
    return dg.RunRequest(run_key=f"history, {this_month():%Y-%m}")
