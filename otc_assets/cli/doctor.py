"""`otc doctor`: settings, connections, versions, clock and disk; what would fail, and why."""

import click
import pandas as pd

from otc_assets.cli.output import json_option, print_frame
from otc_assets.operations.examine import Finding, examine

COLOURS = {"well": "green", "look": "yellow", "fails": "red"}


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look at settings, store, archive, source, versions, clock and disk.

    Writes nothing, and shows no secret. Exits with 1 if something would fail.

    \b
    Example: otc doctor
    """
    found: list[Finding] = list(examine())
    frame = pd.DataFrame([vars(finding) for finding in found])
    colours = {number: COLOURS[finding.verdict] for number, finding in enumerate(found)}
    print_frame(frame, as_json=as_json, colours=colours)
    if any(finding.verdict == "fails" for finding in found):
        context.exit(1)
