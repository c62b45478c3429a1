"""`otc venues`: who the venues are."""

import click

from otc_assets.cli.ask import dataset_option
from otc_assets.cli.output import json_option, print_frame
from otc_assets.research import venue_registry
from otc_assets.research.registry.known import of_venues

SHOWN = ["venue", "name", "names_before", "valid_from", "valid_until", "began_as", "ended_as"]
SHOWN += ["successor", "successor_confidence", "predecessor", "owner"]


@click.command()
@click.argument("mpids", nargs=-1)
@click.option("--as-of", "day", help="What was known at the end of a day (default: now).")
@dataset_option
@json_option
@click.pass_context
def venues(
    context: click.Context, mpids: tuple[str, ...], day: str | None, dataset: str, as_json: bool
) -> None:
    """Print who the venues MPIDS (default: all) are: names, weeks, successors.

    JSON has the evidence and the confidence of each claim, too. Exits with 1 if there is none.

    \b
    Example: otc venues ABCD --as-of 2025-07-15
    """
    rows = venue_registry(day, dataset)
    found = of_venues(rows, mpids, dataset=dataset) if mpids else rows
    print_frame(found if as_json else found[SHOWN], as_json=as_json)
    if found.empty:
        click.echo("nothing was found", err=True)
        context.exit(1)
