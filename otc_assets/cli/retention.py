"""`otc retain` and `otc restore`: rows leave the store for the archive, and come back."""

import uuid
from collections.abc import Iterable

import click
import pandas as pd

from otc_assets.cli.ask import chosen_datasets, datasets_option, tier_option, week_option
from otc_assets.cli.output import json_option, print_frame
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import among
from otc_assets.operations.ownership import check_archive
from otc_assets.operations.recall import Recall, store_to_read
from otc_assets.operations.retention import (
    RetentionError,
    SliceRows,
    expired,
    give_back,
    pruned,
    room_of,
    told,
)
from otc_assets.operations.retention import prune as prune_rows
from otc_assets.operations.retention import restore as restore_rows
from otc_assets.settings import setting
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

COLUMNS = ("dataset", "tier", "week_ending", "table", "rows")


@click.command()
@click.option("--apply", "is_applied", is_flag=True, help="Remove the rows, and do not only tell.")
@datasets_option
@json_option
@click.pass_context
def retain(
    context: click.Context, is_applied: bool, datasets: tuple[str, ...], as_json: bool
) -> None:
    """Say which rows the retention policies remove from the store, or remove them.

    The archive keeps what gives them again: it is read back, and the rows compared, before any is
    removed. Policies are OTC_RETAIN_RAW_WEEKS and OTC_RETAIN_VENUE_VOLUME_WEEKS. Prints a row for
    each week and table. Exits with 1 if a week had to be left as it is.

    \b
    Example: otc retain --apply
    """
    rows: list[dict[str, object]] = []
    failed = 0
    for dataset in chosen_datasets(datasets):
        store = store_to_read(dataset)
        slices = expired(store, today())
        if not is_applied:
            rows += _rows(dataset, slices)
            about = room_of(store, slices)
            click.echo(f"{dataset.name}: would remove {told(slices)}, about {about}", err=True)
            continue
        warehouse, run = _writing(dataset, "retain")
        done, left = _done(dataset, "removed", prune_rows(warehouse, slices, run))
        rows += done
        failed += left
        for line in give_back(warehouse):
            click.echo(f"{dataset.name}: {line}", err=True)
    print_frame(pd.DataFrame(rows, columns=COLUMNS), as_json=as_json)
    if rows and not is_applied:
        click.echo("Nothing was removed. `otc retain --apply` removes these rows.", err=True)
    context.exit(1 if failed else 0)


@click.command()
@tier_option
@week_option
@click.option("--all", "every", is_flag=True, help="Bring back all rows that were removed.")
@datasets_option
@json_option
@click.pass_context
def restore(
    context: click.Context,
    tiers: tuple[str, ...],
    weeks: tuple[str, ...],
    every: bool,
    datasets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Bring rows that retention has removed back from the archive, with the same content hash.

    The next retention run removes them again, unless its policies are changed. Prints a row for
    each week and table. Exits with 1 if a week could not be restored, or there is none.

    \b
    Example: otc restore --tier 'NMS Tier 1' --week 2019-05-17
    """
    if not (tiers or weeks or every):
        raise click.UsageError("name --week, --tier or --all")
    rows: list[dict[str, object]] = []
    failed = 0
    for dataset in chosen_datasets(datasets):
        kept = {each.week: each for each in pruned(store_to_read(dataset))}
        slices = [kept[week] for week in among(kept, tiers, weeks)]
        if not slices:
            continue
        warehouse, run = _writing(dataset, "restore")
        done, left = _done(dataset, "restored", restore_rows(warehouse, slices, run))
        rows += done
        failed += left
    print_frame(pd.DataFrame(rows, columns=COLUMNS), as_json=as_json)
    if not rows and not failed:
        click.echo("no such rows are kept in the archive alone", err=True)
    context.exit(1 if failed or not rows else 0)


def _writing(dataset: Dataset, command: str) -> tuple[Warehouse, RunIds]:
    """Return the store that is set, to write to, and who writes."""
    recall = Recall()
    warehouse = Warehouse(setting("OTC_DATABASE_URL"), dataset, recall)
    check_archive(warehouse, recall.archive(dataset).root)
    name = f"otc-{command}-{uuid.uuid4()}"
    return warehouse, RunIds(name, name)


def _done(
    dataset: Dataset, verb: str, found: Iterable[SliceRows | RetentionError]
) -> tuple[list[dict[str, object]], int]:
    """Say what was done; return a row for each week and table, and how many weeks were left."""
    done: list[SliceRows] = []
    left: list[RetentionError] = []
    for each in found:
        (left if isinstance(each, RetentionError) else done).append(each)  # type: ignore[arg-type]
    for line in (f"{verb} {told(done)}", *left):
        click.echo(f"{dataset.name}: {line}", err=True)
    return _rows(dataset, done), len(left)


def _rows(dataset: Dataset, slices: Iterable[SliceRows]) -> list[dict[str, object]]:
    return [
        {
            "dataset": dataset.name,
            "tier": str(each.week.section),
            "week_ending": each.week.period,
            "table": name,
            "rows": count,
        }
        for each in slices
        for name, count in each.rows.items()
        if count
    ]
