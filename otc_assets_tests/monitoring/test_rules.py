"""The alert rules: their thresholds are the design's, each is tested both ways and explained."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.prometheus.pages import ALERTS as ALERTS_PAGE
from deploy.prometheus.pages import MONITORING, alerts_page, with_metrics
from deploy.prometheus.rules import FOLDER, Alert, alerts
from otc_assets.cli.main import COMMANDS
from otc_assets.definitions import defs
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.gaps import CRITICAL_AFTER_DAYS, WARNING_AFTER_DAYS
from otc_assets.domain.quality import CRITICAL_BELOW, WARNING_BELOW
from otc_assets_tests.conftest import REPOSITORY

ALERTS = alerts()
NAMES = [f"{alert.name}-{alert.severity}" for alert in ALERTS]
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> int:
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", duration))


def cases() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("rules*_test.yml")):
        yield from yaml.safe_load(path.read_text())["tests"]


def asks_for(alert: Alert, question: dict[str, Any]) -> bool:
    wanted = f'alertname="{alert.name}"', f'severity="{alert.severity}"'
    return all(text in question["expr"] for text in wanted)


@each_alert
def test_an_alert_is_tested_past_its_threshold_and_where_it_must_be_silent(alert: Alert):
    asked = [
        (bool(question["exp_samples"]), seconds(question["eval_time"]))
        for case in cases()
        for question in case["promql_expr_test"]
        if asks_for(alert, question)
    ]
    assert {fires for fires, _ in asked} == {True, False}, "add it to rules_test.yml"
    fired = min(moment for fires, moment in asked if fires)
    assert fired >= seconds(alert.wait)


@pytest.mark.parametrize("alert", [a for a in ALERTS if a.wait != "0s"], ids=lambda a: a.name)
def test_an_alert_that_waits_is_tested_before_its_time_has_come(alert: Alert):
    for case in cases():
        asked = [q for q in case["promql_expr_test"] if f'"{alert.name}"' in q["expr"]]
        fired = [seconds(q["eval_time"]) for q in asked if q["exp_samples"]]
        silent = [seconds(q["eval_time"]) for q in asked if not q["exp_samples"]]
        if fired and any(0 < min(fired) - moment <= 60 for moment in silent):
            return
    raise AssertionError(f"no case of {alert.name} is silent a minute before it fires")


def test_thresholds_are_those_that_status_and_checks_have():
    found = {(alert.name, alert.severity): alert.expression for alert in ALERTS}
    gap, score = "otc_oldest_gap_days", "otc_quality_score"
    assert found["OtcWeekMissing", "warning"] == f"{gap} > {WARNING_AFTER_DAYS}"
    assert found["OtcWeekMissing", "critical"] == f"{gap} > {CRITICAL_AFTER_DAYS}"
    assert found["OtcQualityLow", "warning"].startswith(f"{score} < {WARNING_BELOW} ")
    assert found["OtcQualityLow", "critical"].startswith(f"{score} < {CRITICAL_BELOW} ")


@each_alert
def test_an_alert_says_what_it_means_what_to_look_at_and_what_to_run(alert: Alert):
    assert re.fullmatch(
        r"Means: .+\nLook at: .+\nRun: .+\n", alert.annotations["runbook"], re.DOTALL
    )
    assert alert.annotations["summary"]
    assert alert.annotations["description"].endswith(".")
    assert alert.annotations["runbook_url"] == f"docs/alerts.md#{alert.name.lower()}"
    assert f"\n## {alert.name}\n" in ALERTS_PAGE.read_text()


def test_the_page_of_alerts_is_current():
    assert ALERTS_PAGE.read_text() == alerts_page(), "run `make docs`"


def test_the_table_of_metrics_is_current():
    page = MONITORING.read_text()
    assert with_metrics(page) == page, "run `make docs`"


def test_every_command_of_a_runbook_is_there():
    text = "\n".join(alert.annotations["runbook"] for alert in ALERTS)
    named = set(re.findall(r"-j {{ \$labels.dataset }}(\w+)", text))
    jobs = {job.name for job in defs.resolve_all_job_defs()}
    assert named
    assert {f"{dataset.name}{job}" for dataset in DATASETS for job in named} <= jobs
    assert set(re.findall(r"`otc (\w+)", text)) <= {command.name for command in COMMANDS}
    makefile = (REPOSITORY / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in re.findall(r"`make (\w+)`", text))
