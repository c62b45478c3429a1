"""One request until its answer is whole: every fault, one by one, and the limits of patience."""

from collections import Counter
from itertools import pairwise

import httpx
import pytest

from otc_assets.sources.errors import SourceError
from otc_assets.sources.finra_client import FinraClient
from otc_assets_tests.finra.conftest import PART, SIGNS, WEEK, index_of, named, quick, told
from otc_assets_tests.finra.faults import STATUS, Fault
from otc_assets_tests.finra.server import DATA, PARTITIONS, FinraServer
from otc_assets_tests.finra.world import ATS, as_json

BELIEVED = {Fault.SHORT_PAGE, Fault.EMPTY_SLICE}
"""Answers that are taken when they come again and again."""


def is_whole(server: FinraServer, client: FinraClient) -> bool:
    """Tell whether the client gets exactly the rows of the world."""
    (file,) = index_of(client).files_of(WEEK)
    truth = sorted(map(as_json, server.world.records(PART, ATS)))
    return file.data.decode() == "[\n" + ",\n".join(truth) + "\n]\n"


@pytest.mark.parametrize("fault", Fault)
def test_a_single_fault_is_recovered_from_and_named_once(server, client, caplog, fault):
    server.faults.next(fault)
    assert is_whole(server, client)
    assert server.faults.served == [fault]
    assert named(told(caplog)) == {fault: 1}


@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.EXPIRED}))
def test_each_of_two_faults_in_a_row_is_named_once(server, client, caplog, fault):
    server.faults.next(fault, fault)
    assert is_whole(server, client)
    assert named(told(caplog)) == {fault: 2}


@pytest.mark.parametrize("fault", sorted(set(Fault) - BELIEVED))
def test_a_fault_that_stays_is_refused_in_the_words_of_finra(server, client, caplog, fault):
    server.faults.always(fault)
    with pytest.raises(SourceError, match=SIGNS[fault]) as refused:
        index_of(client).files_of(WEEK)
    attempts = {Fault.FORBIDDEN: 3, Fault.BAD_REQUEST: 3}.get(fault, 4)
    if fault is not Fault.EXPIRED:
        assert "NMS Tier 1:2025-11-14" in str(refused.value)
        assert str(refused.value).endswith(f"(attempt {attempts}, the last)")
    assert named(told(caplog, refused.value)) == server.faults.counted()


@pytest.mark.parametrize("fault", [Fault.BAD_REQUEST, Fault.FORBIDDEN])
def test_what_finra_itself_refuses_is_asked_for_three_times(server, unlimited, fault):
    server.faults.always(fault)
    with pytest.raises(SourceError, match=r"\(request [0-9a-f]{32}\) \(attempt 3, the last\)"):
        index_of(quick(server, attempts=10)).files_of(WEEK)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "fault", [Fault.EXPIRED, Fault.GATEWAY_TIMEOUT, Fault.RESET, Fault.CUT_JSON, Fault.HTML]
)
def test_the_list_of_partitions_is_asked_for_as_patiently(server, client, caplog, fault):
    server.faults.next(fault)
    assert client.partitions() == [("2025-11-10", "T1")]
    assert named(told(caplog)) == {fault: 1}


def test_no_partitions_are_an_empty_list(server, client):
    server.world.firms.clear()
    assert client.partitions() == []


def test_a_server_that_is_not_there_is_refused_with_its_error(unlimited):
    client = FinraClient("http://127.0.0.1:9", attempts=2, first_wait_seconds=0.001)
    with pytest.raises(SourceError, match=r"weeklySummary: ConnectError: .*refused \(attempt 2"):
        client.partitions()


@pytest.mark.parametrize(
    ("content", "headers", "reason"),
    [
        (b'[{"issueSymbolIdentifier": "A\xe9"}]', {"Record-Total": "1"}, "broken JSON"),
        (b"[{}]", {}, "no header Record-Total"),
        (b"[{}]", {"Record-Total": "many"}, "no header Record-Total"),
        (b'{"message": "hello"}', {"Record-Total": "1"}, "no array of records"),
        (b"null", {"Record-Total": "1"}, "no array of records"),
    ],
)
def test_an_answer_of_another_form_is_a_fault_and_never_guessed_at(
    client, content, headers, reason
):
    headers = headers | {"Content-Type": "application/json"}
    answers = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=content))
    client._http = httpx.Client(transport=answers)
    with pytest.raises(SourceError, match=rf"rows from 0 on: .*{reason}.* \(attempt 4, the last"):
        client.rows({}, 0, "rows", expects_rows=True)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"[1, 2]",
        b'{"availablePartitions": [["2025-11-10", "T1"]]}',
        b'{"availablePartitions": [{"partitions": ["2025-11-10"]}]}',
        b'{"availablePartitions": 5}',
    ],
)
def test_a_list_of_partitions_of_another_form_is_a_fault(client, content):
    headers = {"Content-Type": "application/json"}
    answers = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=content))
    client._http = httpx.Client(transport=answers)
    with pytest.raises(SourceError, match=r"list of partitions.*attempt 4, the last"):
        client.partitions()


def test_each_request_is_observed_with_its_outcome(server, unlimited):
    observed: list[tuple[str, float, int]] = []
    server.faults.next(Fault.UNAVAILABLE, Fault.RESET, Fault.HTML, Fault.TOO_MANY_SECONDS)
    client = quick(server, attempts=5, observe=lambda *each: observed.append(each))
    assert is_whole(server, client)
    outcomes = [outcome for outcome, *_ in observed]
    assert outcomes[:5] == ["503", "network", "ok", "429", "ok"]  # HTML came with a 200
    assert len(outcomes) == len(server.asked(DATA))
    assert all(0 < seconds < 60 for _, seconds, _ in observed)
    assert all((received > 0) == (outcome != "network") for outcome, _, received in observed)


def test_faults_of_all_kinds_one_after_the_other(server, unlimited, caplog):
    server.faults.next(*sorted(set(STATUS) - {Fault.FORBIDDEN, Fault.BAD_REQUEST}))
    assert is_whole(server, quick(server, attempts=10))
    assert named(told(caplog)) == Counter(server.faults.served)


@pytest.mark.parametrize("fault", [Fault.TOO_MANY_SECONDS, Fault.TOO_MANY_DATE])
def test_the_client_comes_back_no_sooner_than_it_is_asked_to(server, client, fault):
    server.retry_after_seconds = 1
    server.faults.next(fault)
    assert is_whole(server, client)
    refused, again = server.asked(DATA)[:2]
    assert refused.fault is fault
    assert again.at >= refused.not_before - 0.01
    assert again.at - refused.at >= 1


@pytest.mark.parametrize("fault", [Fault.TOO_MANY_SECONDS, Fault.TOO_MANY_DATE])
def test_a_server_that_asks_for_too_much_patience_has_failed(server, client, fault):
    server.retry_after_seconds = 3600
    server.faults.always(fault)
    with pytest.raises(SourceError, match=SIGNS[fault]):
        client.rows({}, 0, "rows", expects_rows=True)
    assert len(server.requests) == 1


def test_a_server_that_asks_for_no_patience_is_not_pestered(server, unlimited):
    server.retry_after_seconds = 0
    server.faults.always(Fault.TOO_MANY_SECONDS)
    with pytest.raises(SourceError, match="attempt 3, the last"):
        quick(server, attempts=3, first_wait_seconds=0.1).rows({}, 0, "rows", expects_rows=True)
    first, second, third = (request.at for request in server.requests)
    assert second - first >= 0.1
    assert third - second >= 0.2


def test_a_refusal_after_other_faults_is_the_first_refusal(server, unlimited, caplog):
    server.faults.next(Fault.UNAVAILABLE, Fault.RESET, Fault.UNAVAILABLE, Fault.FORBIDDEN)
    assert is_whole(server, quick(server, attempts=10))
    assert named(told(caplog)) == server.faults.counted()


def test_waits_grow(server, unlimited):
    server.faults.always(Fault.GATEWAY_TIMEOUT, asks="partitions")
    with pytest.raises(SourceError, match="attempt 5, the last"):
        quick(server, attempts=5, first_wait_seconds=0.05).partitions()
    times = [request.at for request in server.asked(PARTITIONS)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    least = [0.05, 0.1, 0.2, 0.4]
    assert all(gap >= wait for gap, wait in zip(gaps, least, strict=True))


@pytest.mark.parametrize(
    "url", ["api.finra.org", "", "ftp://api.finra.org", "https://", "http://host:port", "http://\n"]
)
def test_what_is_no_web_address_is_refused_by_name(url):
    with pytest.raises(SourceError, match="is no address of the Query API") as refused:
        FinraClient(url)
    assert str(refused.value).startswith(f"{url}: ")


@pytest.mark.parametrize("rate", [0, -1, 20.1, float("nan"), float("inf")])
def test_a_rate_that_finra_does_not_allow_is_refused_by_name(server, rate):
    with pytest.raises(SourceError, match=r"OTC_REQUESTS_PER_SECOND: is .* up to 20 requests"):
        FinraClient(server.url, requests_per_second=rate)
