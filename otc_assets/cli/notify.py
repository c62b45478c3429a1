"""`otc notify`: tells people of what is not well, for who runs no daemon of Dagster's."""

import click

from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import ATS, every_dataset
from otc_assets.operations.incidents import reconcile
from otc_assets.operations.messages import TEST
from otc_assets.operations.notify import deliver
from otc_assets.operations.recall import store_to_read
from otc_assets.operations.sinks import sinks
from otc_assets.settings import setting
from otc_assets.warehouse.store import Warehouse


@click.command()
@click.option("--test", "is_test", is_flag=True, help="Send one test message to each address.")
@click.pass_context
def notify(context: click.Context, is_test: bool) -> None:
    """Tell the addresses of OTC_NOTIFY_URL what has ceased to be well, and what is over.

    Does what Dagster's sensor `notifications` does, for a cron job: looks how each slice stands,
    and sends each message once. Exits with 1 if an address did not take one; the next run sends it
    again.

    \b
    Example: otc notify --test
    """
    told = sinks(store_to_read(ATS))  # which creates no store
    if not told:
        raise click.UsageError("OTC_NOTIFY_URL is not set: nobody is told")
    if is_test:
        said = [(sink, sink.take(TEST)) for sink in told]
        taken = [f"{sink.name}: {TEST.title}" for sink, reason in said if reason is None]
        failed = [reason for _, reason in said if reason]
    else:
        for dataset in every_dataset():
            reconcile(Warehouse(setting("OTC_DATABASE_URL"), dataset), today())
        done = deliver(Warehouse(setting("OTC_DATABASE_URL"), ATS), told)
        taken, failed = done.taken, done.failed
    for title in taken:
        click.echo(f"sent to {title}")
    for reason in failed:
        click.echo(reason, err=True)
    if not taken and not failed:
        click.echo("nothing is to be told")
    context.exit(1 if failed else 0)
