"""`otc status` and `otc gaps`: how things stand."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime

import click
import pandas as pd

from otc_assets.cli.ask import chosen_datasets
from otc_assets.cli.output import json_option, print_frame
from otc_assets.domain.calendar import today
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import Severity
from otc_assets.domain.volume_month import this_month
from otc_assets.operations.recall import store_to_read
from otc_assets.operations.status import TierStatus, status_of
from otc_assets.research.standing import dropped_from, gaps_in
from otc_assets.sources.volume import bytes_per_month, told
from otc_assets.warehouse.requests import received_since, was_asked
from otc_assets.warehouse.store import Store

COLOURS = {Severity.INFO: "yellow", Severity.WARNING: "yellow", Severity.CRITICAL: "red"}
day_option = click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Judge what is due as of this day (default: today in New York).",
)


@click.command()
@day_option
@json_option
@click.pass_context
def status(context: click.Context, day: datetime | None, as_json: bool) -> None:
    """Say how each tier of each dataset stands.

    Exits with 1 if a week is more than 3 days late, a file was refused, a slice is in dead_letters,
    or the quality of a slice is critical.

    \b
    Example: otc status --json | jq '.[] | select(.missing > 0)'
    """
    stores = [store_to_read(dataset) for dataset in chosen_datasets(())]
    found = [tier for store in stores for tier in status_of(store, _day(day))]
    colours = {n: "green" if tier.is_well else "red" for n, tier in enumerate(found)}
    print_frame(pd.DataFrame(map(_shown, found)), as_json=as_json, colours=colours)
    if volume := volume_told(stores[0]):
        click.echo(f"FINRA has sent {volume} this month", err=True)
    if not all(tier.is_well for tier in found):
        click.echo(_what_to_do(found), err=True)
        context.exit(1)


@click.command("gaps")
@day_option
@json_option
@click.pass_context
def list_gaps(context: click.Context, day: datetime | None, as_json: bool) -> None:
    """List the weeks that FINRA has published by its calendar and that the store lacks.

    Weeks that FINRA no longer offers are counted, and not listed. Exits with 1 if one is listed.

    \b
    Example: otc gaps --day 2025-08-11
    """
    stores = [store_to_read(dataset) for dataset in chosen_datasets(())]
    rows = pd.concat([gaps_in(store, _day(day)) for store in stores], ignore_index=True)
    colours = {n: COLOURS[Severity(severity)] for n, severity in enumerate(rows["severity"])}
    print_frame(rows, as_json=as_json, colours=colours)
    for store in stores:
        if gone := dropped_from(store, _day(day)):
            click.echo(f"{store.dataset.name}: {_gone(gone)}", err=True)
    if len(rows):
        click.echo(f"{len(rows)} weeks are lacking: {FILL}", err=True)
        context.exit(1)


FILL = "run the job <dataset>_fill_gaps, or materialize them"


def volume_told(store: Store) -> str | None:
    """Return how much of this month's volume FINRA has sent; None if it was never asked."""
    with store.read() as reader:
        if not was_asked(reader.connection):
            return None
        return told(received_since(reader.connection, this_month()), bytes_per_month())


def _gone(gone: Sequence[SliceKey]) -> str:
    return (
        f"FINRA no longer offers {len(gone)} slices that are due and not in the store, "
        f"{gone[0].period} to {gone[-1].period}: they can only come from files"
    )


def _day(day: datetime | None) -> date:
    return day.date() if day else today()


def _shown(tier: TierStatus) -> dict[str, object]:
    row = asdict(tier) | {"well": tier.is_well}
    del row["is_critical"]
    row["last_write"] = f"{tier.last_write:%Y-%m-%d %H:%M}Z" if tier.last_write else None
    return row


def _what_to_do(found: list[TierStatus]) -> str:
    advice = []
    if any(tier.late for tier in found):
        advice.append(f"missing: `otc gaps` names the weeks; {FILL}")
    if any(tier.refused or tier.dead_letters for tier in found):
        advice.append(
            "refused and dead letters: the check no_slice_is_dead has the reasons; the job "
            "<dataset>_retry_dead_letters runs them again"
        )
    if any(tier.is_critical for tier in found):
        advice.append("grade: the checks of raw and of each table say which rule failed")
    return "\n".join(advice)
