"""Reads `rules.yml`: the alerts, and what each says."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Alert:
    """One alerting rule; two rules may share a name, and differ in severity."""

    name: str
    severity: str
    expression: str
    wait: str
    """How long the expression must hold before it fires."""
    annotations: dict[str, str]


def alerts(path: Path = FOLDER / "rules.yml") -> list[Alert]:
    """Return the alerting rules of a file, in its order."""
    return [_alert(rule) for rule in _rules(path) if "alert" in rule]


def expressions(path: Path = FOLDER / "rules.yml") -> list[str]:
    """Return the expressions of all rules, those that record a series included."""
    return [rule["expr"] for rule in _rules(path)]


def _rules(path: Path) -> Iterable[dict[str, Any]]:
    for group in yaml.safe_load(path.read_text())["groups"]:
        yield from group["rules"]


def _alert(rule: dict[str, Any]) -> Alert:
    return Alert(
        rule["alert"],
        rule["labels"]["severity"],
        rule["expr"].strip(),
        rule.get("for", "0s"),
        rule["annotations"],
    )
