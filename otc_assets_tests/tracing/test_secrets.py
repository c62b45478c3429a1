"""No secret is in anything that is sent, whichever way a run fails."""

from pathlib import Path

import dagster as dg
import pytest

from otc_assets import tracing
from otc_assets.assets import platform as platform_module
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import World
from otc_assets_tests.platform.test_secrets import (
    CLIENT,
    KEY,
    PARTITION,
    PASSWORD,
    SECRET,
    databases,
    found_in,
)
from otc_assets_tests.tracing.conftest import ENDPOINT
from otc_assets_tests.tracing.receiver import Receiver, receiving


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request) -> Receiver:
    """What a run of raw sends that has secrets in its settings, and fails."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {KEY}")
    monkeypatch.setenv("OTC_HOME", str(tmp_path))
    with receiving() as (url, sent):
        monkeypatch.setenv(ENDPOINT, url)
        for cached in ("_warehouse", "_client"):
            getattr(platform_module, cached).cache_clear()
        job = build_defs([ATS]).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            request.getfixturevalue(request.param)
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("raw")],
                partition_key=PARTITION,
                raise_on_error=False,
            )
    assert not result.success
    assert sent.one("run").failed
    return sent


@pytest.fixture
def a_store_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(platform_module.setting("OTC_HOME")) / "source").mkdir()
    monkeypatch.setenv("OTC_DATABASE_URL", databases(0)["unreachable"])


@pytest.fixture
def a_login_that_finra_refuses(monkeypatch: pytest.MonkeyPatch):
    with FinraServer(World(), credentials=(CLIENT, "another"), is_anonymous_allowed=False) as it:
        monkeypatch.setenv("OTC_SOURCE", "finra")
        monkeypatch.setenv("OTC_SOURCE_URL", it.url)
        monkeypatch.setenv("FINRA_CLIENT_ID", CLIENT)
        monkeypatch.setenv("FINRA_CLIENT_SECRET", SECRET)
        yield


KINDS = ["a_store_that_is_not_there", "a_login_that_finra_refuses"]


@pytest.mark.parametrize("failed", KINDS, indirect=True)
def test_no_secret_of_the_settings_is_in_what_is_sent(failed: Receiver):
    assert found_in([body.decode(errors="replace") for body in failed.bodies]) == []


def test_a_login_in_a_text_is_taken_out(monkeypatch: pytest.MonkeyPatch):
    address = f"sftp://user:{PASSWORD}@host/finra"
    with receiving() as (url, sent):
        monkeypatch.setenv(ENDPOINT, url)
        run = tracing.open_run("3c9b1b0e-8d1f-4a52-9d53-6b9d1ea1f0aa", {}, print, is_whole=True)
        run.set(place=address)
        run.event("retry", fault=f"{address} is gone")
        run.fail(ValueError(f"no {address}"))
        run.close()
    (run_sent,) = sent.spans
    assert found_in([body.decode(errors="replace") for body in sent.bodies]) == []
    assert run_sent["place"] == "sftp://***@host/finra"
    assert run_sent.failed == "ValueError: no sftp://***@host/finra"
