"""The words in which people are told of incidents: pure, from incidents to a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from otc_assets.domain.datasets import every_dataset
from otc_assets.domain.events import slice_of_id
from otc_assets.domain.grains import ALL, AnySlice
from otc_assets.domain.quality import Severity
from otc_assets.warehouse.incidents import JOB, Incident

SHOWN = 20
"""Incidents of a message; of the others it says how many they are."""


class Transition(StrEnum):
    """What has become of an incident."""

    BEGINS = "begins"
    GRAVER = "graver"
    OVER = "over"


@dataclass(frozen=True)
class Message:
    """What a sink is sent."""

    title: str
    body: str
    kind: str
    """info, success, warning or failure: a colour or sign, where a service has one."""


TEST = Message(
    "[otc_assets] A test",
    "This address is told when something is not well with FINRA's data, and when that is "
    "over. Nothing is wrong now: somebody ran `otc notify --test`.",
    "info",
)


def message_of(transition: Transition, incidents: Sequence[Incident], ui: str) -> Message:
    """Return the one message of several incidents of a dataset.

    Args:
        transition: what has become of all of them.
        incidents: at least one.
        ui: the address of Dagster's UI, for links to runs.

    """
    ordered = sorted(incidents, key=_order)
    grave = sum(incident.severity == Severity.CRITICAL for incident in ordered)
    lines = [_headline(transition, len(ordered)), ""]
    for run_id, together in groupby(ordered[:SHOWN], key=lambda incident: incident.run_id):
        lines += [_line(transition, incident) for incident in together]
        lines += [f"  {ui.rstrip('/')}/runs/{run_id}"] if run_id else []
    if len(ordered) > SHOWN:
        lines.append(f"- and {len(ordered) - SHOWN} more")
    if transition is not Transition.OVER:
        lines += ["", "`otc status` says how things stand, `otc gaps` what lacks."]
    title = f"[otc_assets] {_title_of(ordered[0].dataset)}: {_in_short(transition, ordered, grave)}"
    over = transition is Transition.OVER
    kind = "success" if over else "failure" if grave else "warning"
    return Message(title, "\n".join(lines), kind)


def _order(incident: Incident) -> tuple[bool, bool, tuple[str, ...]]:
    """Put the gravest first, jobs before slices, and slices by week and tier."""
    is_job = incident.kind == JOB
    name = (incident.subject,) if is_job else _week_and_tier(incident)
    return incident.severity != Severity.CRITICAL, not is_job, name


def _week_and_tier(incident: Incident) -> tuple[str, ...]:
    week = _slice(incident)
    return str(week.period), str(week.section)


def _slice(incident: Incident) -> AnySlice:
    return slice_of_id(incident.subject)[1]


def _title_of(dataset: str | None) -> str:
    return next((each.title for each in every_dataset() if each.name == dataset), "all datasets")


def _in_short(transition: Transition, incidents: Sequence[Incident], grave: int) -> str:
    count = len(incidents)
    match transition:
        case Transition.OVER:
            return f"{_problems(count)} over"
        case Transition.GRAVER:
            return f"{_problems(count)} now critical"
    return f"{_problems(count, 'new ')}, {grave or 'none'} critical"


def _headline(transition: Transition, count: int) -> str:
    is_, has = ("is", "has") if count == 1 else ("are", "have")
    match transition:
        case Transition.OVER:
            return f"{_problems(count)} {is_} over:"
        case Transition.GRAVER:
            return f"{_problems(count)} {has} become critical:"
    return f"{_problems(count, 'new ')}:"


def _problems(count: int, which: str = "") -> str:
    return f"{count} {which}problem{'' if count == 1 else 's'}"


def _line(transition: Transition, incident: Incident) -> str:
    if incident.kind == JOB:
        name = f"a run of the job {incident.subject} failed"
    else:
        week = _slice(incident)
        section = "" if week.section == ALL else f"{week.section}, "
        name = f"{section}{week.slicing.grain.words} {week.period}"
    if transition is Transition.OVER and incident.resolved_at:
        span = f"{incident.opened_at:%Y-%m-%d %H:%M} to {incident.resolved_at:%Y-%m-%d %H:%M} UTC"
        return f"- {name} ({span}); it was {incident.severity}: {incident.reason}"
    return f"- {incident.severity}: {name}: {incident.reason}"
