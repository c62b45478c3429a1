"""A row of the registry in words: how an interval began and ended, and why that is believed."""

from collections.abc import Mapping
from typing import Any

BEGAN = {
    "unknown": "there already in the first known week",
    "new": "new",
    "renamed": "renamed",
    "returned": "back",
    "reused": "the MPID is used again, by another",
}


def began(row: Mapping[str, Any]) -> str:
    """Return how an interval began: ``back after 14 weeks without it (100 % sure)``."""
    facts, how = row["began_evidence"], row["began_as"]
    text = BEGAN[how]
    if how == "renamed":
        text += f", {weeks(facts['weeks_named'])} so far"
    elif how != "unknown":
        text += f" after {weeks(facts['weeks_absent_before'])} without it"
    if "pct_kept" in facts:
        text += f"; {_shared(facts)}"
    return text + _sure(row["began_confidence"])


def ended(row: Mapping[str, Any]) -> str:
    """Return how an interval ended, or an empty text while it lasts."""
    how = row["ended_as"]
    if how is None:
        return ""
    text = "renamed"
    if how == "gone":
        text = f"gone: {weeks(row['ended_evidence']['weeks_absent_after'])} without it"
    return text + _sure(row["ended_confidence"])


def succession(row: Mapping[str, Any], what: str) -> str:
    """Return why the ``successor`` or ``predecessor`` of an interval is believed to be it."""
    facts = row[f"{what}_evidence"]
    return _why(facts) + _sure(row[f"{what}_confidence"]) if facts else ""


def _why(facts: Mapping[str, Any]) -> str:
    if "source" in facts:
        return f"{facts['source']} ({facts['source_date']})"
    if "ended" in facts:
        return f"one ended {facts['ended']}, the other began {facts['began']}; {_shared(facts)}"
    return "; ".join(f"{venue}: {_why(each)}" for venue, each in facts.items())


def _shared(facts: Mapping[str, Any]) -> str:
    return f"{facts['symbols_shared']} of {facts['symbols_before']} symbols stayed"


def _sure(confidence: float | None) -> str:
    return "" if confidence is None else f" ({confidence:.0f} % sure)"


def weeks(count: int) -> str:
    """Return a number of weeks in words."""
    return f"{count} week" if count == 1 else f"{count} weeks"
