"""Off, nothing of OpenTelemetry is loaded; on, no run fails or waits long for the other side."""

import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator

import dagster as dg
import pytest

from otc_assets import tracing
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import TRACE_TAG
from otc_assets.tracing import exporting
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.tracing.conftest import ENDPOINT
from otc_assets_tests.tracing.receiver import receiving

RUN_AND_TELL = """
import sys
import dagster as dg
from otc_assets.definitions import Platform, defs

@dg.asset
def nothing(platform: Platform) -> None: ...

assert dg.materialize([nothing], resources={"platform": Platform()}).success
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


@dg.asset
def nothing(platform: Platform) -> None:
    """Do nothing, in a run that is traced."""


def run(instance: dg.DagsterInstance) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """Return a run of that asset, and what its log warns of."""
    resources = {"platform": Platform()}
    result = dg.materialize([nothing], resources=resources, instance=instance)
    logged = instance.all_logs(result.run_id)
    return result, [entry.user_message for entry in logged if entry.level == 30]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for the last spans than runs do."""
    monkeypatch.setattr(exporting, "FLUSH_SECONDS", 0.1)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_without_an_endpoint_opentelemetry_is_not_imported():
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_without_an_endpoint_every_span_is_the_same_that_does_nothing():
    with tracing.span("slice", rows=1) as span, tracing.span("write") as inner:
        assert span is inner is tracing.current() is tracing.NOTHING


def test_a_run_without_an_endpoint_has_no_tag(instance: dg.DagsterInstance):
    result, warned = run(instance)
    assert warned == []
    assert TRACE_TAG not in instance.get_run_by_id(result.run_id).tags


@pytest.mark.parametrize("variable", tracing.ENDPOINTS)
def test_either_variable_turns_it_on(instance, monkeypatch: pytest.MonkeyPatch, variable: str):
    with receiving() as (url, sent):
        path = "/v1/traces" if "TRACES" in variable else ""
        monkeypatch.setenv(variable, url + path)
        result, warned = run(instance)
    assert (sent.one("run")["run_id"], warned) == (result.run_id, [])


def test_opentelemetrys_own_switch_turns_it_off(instance, monkeypatch: pytest.MonkeyPatch):
    with receiving() as (url, sent):
        monkeypatch.setenv(ENDPOINT, url)
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        run(instance)
    assert sent.spans == []


def test_a_run_succeeds_though_nobody_listens(instance, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")  # less than the pause before a retry
    result, (warning,) = run(instance)
    assert result.success
    assert warning.startswith("1 of 1 spans of this run were not sent: Failed to export")


def test_spans_that_are_refused_are_told_with_the_answer(instance, monkeypatch):
    with receiving(status=403) as (url, _):
        monkeypatch.setenv(ENDPOINT, url)
        result, (warning,) = run(instance)
    assert result.success
    assert "403" in warning


def test_a_run_ends_though_the_other_side_never_answers(instance, silent, monkeypatch, impatient):
    monkeypatch.setenv(ENDPOINT, silent)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
    result, warned = run(instance)
    assert result.success
    assert warned == ["1 of 1 spans of this run were not sent: no answer within 0.1 s"]


def test_without_the_extra_one_warning_says_what_to_install(instance, monkeypatch):
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "otc_assets.tracing.exporting", None)
    result, (warning,) = run(instance)
    assert result.success
    assert ENDPOINT in warning
    assert "pip install 'otc_assets[tracing]'" in warning


def test_a_setting_that_is_wrong_is_a_warning(instance, monkeypatch):
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    result, (warning,) = run(instance)
    assert result.success
    assert warning.startswith("no traces: ValueError: ")


def test_processes_that_do_parts_of_a_run_share_its_trace_and_send_no_root(monkeypatch):
    run_id = str(uuid.uuid4())
    with receiving() as (url, sent):
        monkeypatch.setenv(ENDPOINT, url)
        for number in range(2):
            root = tracing.open_run(run_id, {"correlation_id": "c"}, print, is_whole=False)
            with tracing.span("step", number=number):
                pass
            root.close()
    first, second = sent.named("step", correlation_id="c")
    assert first.trace_id == second.trace_id == uuid.UUID(run_id).hex
    assert first.parent_id == second.parent_id != ""
    assert sent.named("run") == []
