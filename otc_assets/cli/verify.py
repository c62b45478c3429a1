"""`otc verify`: whether the store has what the archive gives, and what was written."""

from dataclasses import asdict, fields
from random import SystemRandom

import click
import pandas as pd

from otc_assets.cli.ask import chosen_datasets, datasets_option, tier_option, week_option
from otc_assets.cli.output import json_option, print_frame
from otc_assets.operations.findings import Finding, Verified, told
from otc_assets.operations.recall import store_to_read
from otc_assets.operations.verify import SAMPLE, chosen
from otc_assets.operations.verify import verify as verify_slices
from otc_assets.settings import setting
from otc_assets.sources.archive import Archive


@click.command()
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help=f"Slices of each dataset, drawn at random (default: {SAMPLE}, or all of a --week).",
)
@click.option("--all", "every", is_flag=True, help="Verify every slice that is in the store.")
@click.option("--seed", type=int, help="Draw the sample again that an earlier command named.")
@tier_option
@week_option
@datasets_option
@json_option
@click.pass_context
def verify(
    context: click.Context,
    sample: int | None,
    every: bool,
    seed: int | None,
    tiers: tuple[str, ...],
    weeks: tuple[str, ...],
    datasets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compute slices again from the archive, and list where the store differs.

    Prints a row for each value that differs: table, key, column, what is stored, what is
    recomputed, and the likely cause. Writes nothing. Exits with 1 if anything differs, or there is
    no slice to verify.

    \b
    Example: otc verify --tier OTC --sample 5
    """
    if every and sample:
        raise click.UsageError("name one of --sample and --all")
    seed = SystemRandom().randrange(10**6) if seed is None else seed
    size = sample or (None if every or weeks else SAMPLE)
    found: list[Verified] = []
    for dataset in chosen_datasets(datasets):
        store = store_to_read(dataset)
        archive = Archive(setting("OTC_ARCHIVE_URL"), dataset)
        slices, of = chosen(store, size, seed, tiers, weeks)
        if len(slices) < of:
            click.echo(
                f"{dataset.name}: {len(slices)} of {of} slices, drawn with --seed {seed}", err=True
            )
        found += verify_slices(store, archive, slices)
    differing = [asdict(finding) for each in found for finding in each.findings]
    names = [field.name for field in fields(Finding)]
    print_frame(pd.DataFrame(differing, columns=names), as_json=as_json)
    click.echo(told(found), err=True)
    if differing or not found:
        context.exit(1)
