"""`otc as-of`, `otc history` and `otc export`: what was known."""

import click
import pandas as pd
from upath import UPath

from otc_assets.cli.output import json_option, print_frame
from otc_assets.domain.datasets import DATASETS, EVERY_DATASET, Dataset
from otc_assets.operations.recall import store_to_read
from otc_assets.research import as_of, history
from otc_assets.research.extract import FORMATS, frame_batch, table_batches, table_names, write

dataset_option = click.option(
    "--dataset",
    type=click.Choice([dataset.name for dataset in DATASETS]),
    default="ats",
    show_default=True,
    help="Of dark pools (ats) or of dealers (non_ats).",
)
datasets_option = click.option(
    "--dataset",
    "datasets",
    multiple=True,
    type=click.Choice([dataset.name for dataset in EVERY_DATASET]),
    help="Of dark pools (ats), of dealers (non_ats), or of another dataset; default: all.",
)
tier_option = click.option(
    "--tier", "tiers", multiple=True, help="NMS Tier 1, NMS Tier 2 or OTC; may be repeated."
)
week_option = click.option(
    "--week", "weeks", multiple=True, help="A week by its Friday, 2025-06-20; may be repeated."
)
symbol_option = click.option(
    "--symbol", "symbols", multiple=True, help="As FINRA writes it; may be repeated."
)


def chosen_datasets(names: tuple[str, ...]) -> list[Dataset]:
    """Return the datasets that `datasets_option` names.

    If it names none, the weekly ones, and those of another grain of which the store has anything,
    be it a file that was refused.
    """
    if names:
        return [dataset for dataset in EVERY_DATASET if dataset.name in names]
    return [dataset for dataset in EVERY_DATASET if _is_in_use(dataset)]


def _is_in_use(dataset: Dataset) -> bool:
    with store_to_read(dataset).read() as reader:
        return reader.is_in_use()


@click.command("as-of")
@click.argument("day")
@symbol_option
@tier_option
@week_option
@dataset_option
@json_option
@click.pass_context
def as_of_day(
    context: click.Context,
    day: str,
    symbols: tuple[str, ...],
    tiers: tuple[str, ...],
    weeks: tuple[str, ...],
    dataset: str,
    as_json: bool,
) -> None:
    """Print what was known at the end of DAY: a row per week, tier and symbol.

    Exits with 1 if nothing was.

    \b
    Example: otc as-of 2025-07-15 --symbol PXDT --tier 'NMS Tier 1'
    """
    found = as_of(day, symbols or None, tiers or None, weeks or None, dataset=dataset)
    _answer(context, found, as_json=as_json)


@click.command("history")
@click.argument("symbol")
@tier_option
@week_option
@dataset_option
@json_option
@click.pass_context
def symbol_history(
    context: click.Context,
    symbol: str,
    tiers: tuple[str, ...],
    weeks: tuple[str, ...],
    dataset: str,
    as_json: bool,
) -> None:
    """Print every revision of every week of SYMBOL, and what each changed.

    Exits with 1 if there is none.

    \b
    Example: otc history PXDT --week 2025-05-23
    """
    found = history(symbol, tiers or None, weeks or None, dataset=dataset)
    _answer(context, found, as_json=as_json)


@click.command()
@click.argument("file")
@click.option("--table", type=click.Choice(table_names()), help="The rows of a table.")
@click.option("--as-of", "day", help="What was known at the end of a day.")
@click.option("--history", "symbol", help="Everything that was ever known of a symbol.")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Default: by FILE's ending.")
@symbol_option
@tier_option
@week_option
@dataset_option
@click.pass_context
def export(
    context: click.Context,
    file: str,
    table: str | None,
    day: str | None,
    symbol: str | None,
    kind: str | None,
    symbols: tuple[str, ...],
    tiers: tuple[str, ...],
    weeks: tuple[str, ...],
    dataset: str,
) -> None:
    """Write a table, or the answer to a question, to FILE: Parquet, CSV or Arrow.

    FILE is a path, an address such as s3://bucket/key, or - for standard output. It is written
    whole or not at all. Quantities are in shares. A table of any size is written slice by slice.

    \b
    Examples:
      otc export volumes.parquet --table venue_volume --tier OTC
      otc export known.csv --as-of 2025-07-15 --symbol PXDT
      otc export - --format csv --history PXDT
    """
    if sum(bool(each) for each in (table, day, symbol)) != 1:
        raise click.UsageError("name one of --table, --as-of and --history")
    if symbols and not day:
        raise click.UsageError("--symbol goes with --as-of")
    kind = kind or _kind_of(file)
    if table:
        batches = table_batches(table, tiers or None, weeks or None, dataset=dataset)
    elif day:
        found = as_of(day, symbols or None, tiers or None, weeks or None, dataset=dataset)
        batches = frame_batch(found)
    else:
        batches = frame_batch(history(str(symbol), tiers or None, weeks or None, dataset=dataset))
    rows = write(file, kind, batches)
    if not rows:
        click.echo("nothing was found, and nothing was written", err=True)
        context.exit(1)
    click.echo(f"{rows:,} rows in {file}", err=True)


def _kind_of(file: str) -> str:
    kind = UPath(file).suffix.removeprefix(".")
    if kind not in FORMATS:
        raise click.UsageError(f"{file!r} ends in none of {', '.join(FORMATS)}: name a --format")
    return kind


def _answer(context: click.Context, found: pd.DataFrame, *, as_json: bool) -> None:
    print_frame(found, as_json=as_json)
    if found.empty:
        click.echo("nothing was found", err=True)
        context.exit(1)
