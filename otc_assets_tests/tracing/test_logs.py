"""A log line is text, or one JSON object; within a trace it says of which trace and span it is."""

import json
import logging
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.logs import Console, configure, warning_line
from otc_assets_tests.conftest import FIXTURES, REPOSITORY
from otc_assets_tests.tracing.conftest import ENDPOINT, FILE, PARTITION
from otc_assets_tests.tracing.receiver import Receiver, receiving

MATERIALIZE = "asset materialize -m otc_assets.definitions --select raw"


@dg.asset
@step
def talks(context: dg.AssetExecutionContext, platform: Platform) -> None:
    """Say something, over two lines."""
    context.log.info("one\ntwo")


@dg.asset
@step
def fails(platform: Platform) -> None:
    """Fail."""
    raise ValueError("no such luck")


def lines_of(asset: dg.AssetsDefinition, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """Return what the console shows of a run."""
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [asset],
            instance=instance,
            resources={"platform": Platform()},
            raise_on_error=False,
        )
    return capfd.readouterr().err.splitlines()


@pytest.fixture
def console() -> Iterator[None]:
    """Let Dagster's console loggers be ours, as in a process that loads the definitions."""
    usual = logging.getLoggerClass()
    logging.setLoggerClass(Console)
    yield
    logging.setLoggerClass(usual)


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch, console: None) -> None:
    monkeypatch.setenv("OTC_LOG_FORMAT", "json")


def test_a_line_of_json_says_what_dagster_says_of_it(as_json: None, capfd):
    lines = [json.loads(line) for line in lines_of(talks, capfd)]
    (said,) = [line for line in lines if line["message"] == "one\ntwo"]
    run_id = said["run_id"]
    assert uuid.UUID(run_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said.pop("time"))
    assert said == {
        "level": "INFO",
        "logger": "dagster",
        "message": "one\ntwo",
        "run_id": run_id,
        "job": "__ephemeral_asset_job__",
        "step": "talks",
        "correlation_id": run_id,
    }
    events = [line.get("event") for line in lines]
    assert [events.count(event) for event in ("RUN_START", "STEP_START", "RUN_SUCCESS")] == [1] * 3


def test_an_error_is_part_of_its_line(as_json: None, capfd):
    lines = [json.loads(line) for line in lines_of(fails, capfd)]
    (failure,) = [line for line in lines if line.get("event") == "STEP_FAILURE"]
    assert failure["level"] == "ERROR"
    assert "ValueError: no such luck" in failure["error"]


def test_lines_for_people_are_as_dagster_writes_them(console: None, capfd):
    text = "\n".join(lines_of(talks, capfd))
    assert re.search(
        r"^[\d: +-]+ - dagster - INFO - __eph\S+ - [0-9a-f-]+ - talks - one$", text, re.M
    )
    assert "trace_id" not in text


def test_lines_for_people_have_the_ids_while_a_run_is_traced(console: None, capfd, monkeypatch):
    with receiving() as (url, sent):
        monkeypatch.setenv(ENDPOINT, url)
        text = "\n".join(lines_of(talks, capfd))
    of_step = sent.one("step")
    ids = f" [trace_id={of_step.trace_id} span_id={of_step.span_id}]"
    assert f" - talks - one\ntwo{ids}\n" in text


def test_a_form_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTC_LOG_FORMAT", "yaml")
    with pytest.raises(ValueError, match="OTC_LOG_FORMAT must be text or json, and is 'yaml'"):
        configure()


def test_a_warning_of_a_command_has_the_form_that_is_set(monkeypatch: pytest.MonkeyPatch):
    assert warning_line("no such symbol") == "Warning: no such symbol"
    monkeypatch.setenv("OTC_LOG_FORMAT", "json")
    line = json.loads(warning_line("no such symbol"))
    del line["time"]
    assert line == {"level": "WARNING", "logger": "otc", "message": "no such symbol"}


@dataclass
class Command:
    """A command of Dagster's, what it printed, and the spans that it sent."""

    lines: list[str]
    sent: Receiver

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command that materializes a slice, and a file that is of none."""
    home = tmp_path_factory.mktemp("command")
    (home / "source").mkdir()
    (home / "source" / FILE).write_bytes((FIXTURES / FILE).read_bytes())
    (home / "source" / "stray.csv").write_text("no header\n")
    with receiving() as (url, sent):
        environment = os.environ | {
            "OTC_HOME": str(home),
            "OTC_LOG_FORMAT": "json",
            "DAGSTER_HOME": str(REPOSITORY),
            ENDPOINT: url,
            # Of Dagster's command, before our module is loaded: that another one succeeds it.
            "PYTHONWARNINGS": "ignore:Function:FutureWarning",
        }
        done = subprocess.run(
            [sys.executable, "-m", "dagster", *MATERIALIZE.split(), "--partition", PARTITION],
            env=environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
    return Command((done.stdout + done.stderr).splitlines(), sent)


def test_every_line_of_dagsters_command_is_json_and_is_there_once(command: Command):
    messages = [line["message"] for line in command.objects]
    assert any(message.startswith("belongs to no slice") for message in messages)
    assert len(messages) == len(set(messages))


def test_its_lines_name_the_run_and_the_trace(command: Command):
    run = command.sent.one("run")
    assert {line["run_id"] for line in command.objects} == {run["run_id"]}
    assert {line["trace_id"] for line in command.objects} == {run.trace_id}
    steps = {span.span_id for span in command.sent.named("step", step="raw")}
    of_raw = [line for line in command.objects if line.get("step") == "raw"]
    assert {line["span_id"] for line in of_raw} == steps
