"""`otc fetch-history`: all that FINRA lists and the store lacks, before FINRA drops it."""

import time
from collections.abc import Callable

import click

from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.months import after, this_month
from otc_assets.operations.offers import Progress, progress_of
from otc_assets.operations.recall import store_to_read
from otc_assets.settings import setting
from otc_assets.sources.errors import SourceError
from otc_assets.sources.finra_client import PAGE_BYTES
from otc_assets.sources.volume import bytes_per_month, is_used_up, told
from otc_assets.warehouse.requests import received_since

LOOK_SECONDS = 15
WATCH = (
    "Watch it in Dagster's UI (Runs, Backfills), by `otc fetch-history --follow`, or by this "
    "command again, which then requests nothing."
)


@click.command("fetch-history")
@click.option("--follow", is_flag=True, help="Tell of the progress until all backfills are over.")
def fetch_history(follow: bool) -> None:
    """Fetch every week that FINRA lists and the store lacks, of both datasets, oldest first.

    Requests Dagster's backfills, which its daemon does (`make ui` starts it). Safe to repeat: while
    they are under way it only tells how far they are, and afterwards requests what is left. Keeps
    to FINRA's rate and to the month's volume (OTC_GIGABYTES_PER_MONTH), and goes on by itself on
    the first of the next month.

    \b
    Example: otc fetch-history --follow
    """
    from otc_assets.assets.platform import Platform  # noqa: PLC0415  # they import Dagster
    from otc_assets.automation import history  # noqa: PLC0415
    from otc_assets.automation.storage import (  # noqa: PLC0415
        InstanceError,
        instance_that_is_set,
    )

    if setting("OTC_SOURCE") != "finra":
        raise click.UsageError("history is FINRA's: set OTC_SOURCE=finra")
    try:
        instance = instance_that_is_set()
        found = history.look(Platform())
    except (InstanceError, SourceError) as error:
        raise ValueError(str(error)) from error
    for each in found:
        click.echo(str(each))
    received, limit = _received(), bytes_per_month()
    click.echo(f"FINRA has sent {told(received, limit)} this month.")
    if history.under_way(instance):
        click.echo(f"It is being fetched. {WATCH}")
    elif not any(each.lacking for each in found):
        click.echo("Nothing is left to fetch.")
    elif is_used_up(received, limit, PAGE_BYTES, is_history=True):
        click.echo(f"That is as much as history may take: ask again from {after(this_month())} on.")
    else:
        requested = history.request_history(instance, found)
        click.echo(f"Requested {len(requested)} backfills, oldest weeks first. {WATCH}")
    if history.under_way(instance) and not history.is_daemon_alive(instance):
        click.echo("Dagster's daemon does not run: it does nothing until `make ui` starts it.")
    if follow:
        _follow(lambda: bool(history.under_way(instance)))


def _follow(is_under_way: Callable[[], bool]) -> None:
    """Print how far it is whenever that has changed, until nothing is under way."""
    shown: list[str] = []
    while True:
        is_last = not is_under_way()
        lines = [*map(str, _progress()), f"FINRA: {told(_received(), bytes_per_month())}"]
        if lines != shown:
            click.echo("\n".join(lines))
        if is_last:
            return
        shown = lines
        time.sleep(LOOK_SECONDS)


def _progress() -> list[Progress]:
    found = []
    for dataset in DATASETS:
        with store_to_read(dataset).read() as reader:
            found.append(progress_of(reader, reader.offers(), today()))
    return found


def _received() -> int:
    with store_to_read(ATS).read() as reader:
        return received_since(reader.connection, this_month())
