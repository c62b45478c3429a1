"""`otc why`: where a number comes from."""

import json
from dataclasses import asdict
from typing import Any

import click
import pandas as pd

from otc_assets.cli.ask import dataset_option, tier_option
from otc_assets.cli.output import json_option, records
from otc_assets.research import why
from otc_assets.research.why import Content, Why

STANDING = ("tier", "week_ending", "symbol", "as_of_date", "as_of_source", "source_revision")


@click.command("why")
@click.argument("symbol")
@click.argument("week")
@click.option("--as-of", "day", help="As it was known at the end of this day (default: now).")
@tier_option
@dataset_option
@json_option
@click.pass_context
def explain(
    context: click.Context,
    symbol: str,
    week: str,
    day: str | None,
    tiers: tuple[str, ...],
    dataset: str,
    as_json: bool,
) -> None:
    """Walk from the snapshot's row of SYMBOL in WEEK back to the lines of FINRA's file.

    Prints the row, the calculations that gave it with their versions and the revisions that they
    have read, the events that led to it, and the files with the symbol's lines in them, read back
    from the archive. Exits with 1 if there is no such row.

    \b
    Example: otc why PXDT 2025-05-23 --as-of 2025-07-15
    """
    found = why(symbol, week, tiers or None, day, dataset=dataset)
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found], indent=2, default=str))
    else:
        click.echo("\n\n".join("\n".join(_told(each)) for each in found), nl=bool(found))
    if not found:
        click.echo("nothing was found", err=True)
        context.exit(1)
    for problem in dict.fromkeys(problem for each in found for problem in each.problems):
        click.echo(f"Warning: {problem}", err=True)


def _as_json(found: Why) -> dict[str, Any]:
    return asdict(found) | {"row": _row(found)}


def _row(found: Why) -> dict[str, Any]:
    return records(pd.DataFrame([found.row]))[0]


def _told(found: Why) -> list[str]:
    row = _row(found)
    lines = [
        f"{row['symbol']} in {row['tier']}, week ending {row['week_ending']}, as known from the "
        f"end of {row['as_of_date']} on ({row['as_of_source']}), revision {row['source_revision']}"
    ]
    lines += [f"  {name} {_value(row[name])}" for name in row if name not in STANDING]
    lines += ["", "Calculated by"]
    lines += [f"  {_calculation(each)}" for each in found.calculations]
    lines += ["", "Events"]
    lines += [f"  {_event(each)}" for each in found.events]
    lines += ["", "Read from"]
    for content in found.contents:
        lines += [f"  {line}" for line in _content(content)]
    return lines


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _calculation(each: dict[str, Any]) -> str:
    read = ", ".join(f"{i['week_ending']} r{i['source_revision']}" for i in each["inputs"] or ())
    version = each["calc_version"] or ""
    return f"{each['table']} {version}: {each['rows']} rows from {read or 'unknown revisions'}"


def _event(each: dict[str, Any]) -> str:
    payload = each["payload"]
    names = ("table", "calc_version", "source_revision", "quality_grade", "source_file", "status")
    facts = " ".join(str(payload[name]) for name in names if payload.get(name) is not None)
    what = each["aggregate_id"] if each["aggregate_type"] == "slice" else each["aggregate_id"][:12]
    at = f"{each['created_at']:%Y-%m-%d %H:%M:%S}Z"
    return f"{each['sequence']} {at} {each['event_type']} {what}: {facts} ({each['event_id']})"


def _content(content: Content) -> list[str]:
    lines = [
        f"week {content.week_ending}, revision {content.source_revision}, public on "
        f"{content.revision_date}: {content.source_file}",
        f"  sha256 {content.source_sha256}",
        f"  archive {content.archive_key}",
    ]
    for line in content.lines:
        other = f" of {line.source_file}" if line.source_sha256 != content.source_sha256 else ""
        text = line.text or "(the archive is out of reach)"
        lines.append(f"  line {line.line_number}{other}: {text}")
    return lines
