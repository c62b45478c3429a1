"""Each time that FINRA is asked again shows in the trace, on the span of the fetch."""

import re
import uuid

import pytest

from otc_assets import tracing
from otc_assets.sources.errors import SourceError
from otc_assets_tests.finra.conftest import SIGNS, WEEK, index_of
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.tracing.receiver import Receiver, receiving

FAULTS = [Fault.UNAVAILABLE, Fault.RESET, Fault.TOO_MANY_SECONDS]


def fetched(client, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """Fetch a slice in a run that is traced."""
    with receiving() as (url, sent):
        monkeypatch.setenv(tracing.ENDPOINTS[1], url)
        run = tracing.open_run(str(uuid.uuid4()), {}, print, is_whole=True)
        try:
            index_of(client).files_of(WEEK)
        except SourceError:
            pass
        finally:
            run.close()
    return sent


def test_each_retry_is_an_event_with_attempt_fault_and_wait(server, client, monkeypatch):
    server.faults.next(*FAULTS)
    fetch = fetched(client, monkeypatch).one("fetch")
    assert fetch.failed is None
    assert [name for name, _ in fetch.events] == ["retry"] * 3
    told = [attributes for _, attributes in fetch.events]
    assert [each["attempt"] for each in told] == [1, 2, 3]
    assert all(
        re.search(SIGNS[fault], each["fault"]) for fault, each in zip(FAULTS, told, strict=True)
    )
    assert told[2]["wait_seconds"] == server.retry_after_seconds


def test_a_token_that_has_run_out_is_an_event(server, client, monkeypatch):
    server.faults.next(Fault.EXPIRED)
    ((name, told),) = fetched(client, monkeypatch).one("fetch").events
    assert name == "retry"
    assert re.search(SIGNS[Fault.EXPIRED], told["fault"])


def test_a_fetch_that_fails_for_good_says_so_after_its_retries(server, client, monkeypatch):
    server.faults.always(Fault.SERVER_ERROR)
    fetch = fetched(client, monkeypatch).one("fetch")
    assert [name for name, _ in fetch.events] == ["retry"] * 3 + ["exception"]
    assert "(attempt 4, the last)" in fetch.failed
