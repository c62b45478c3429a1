"""OAuth2: one token for many requests, renewed once, and secrets that nobody ever sees."""

import base64
import logging

import pytest

from otc_assets.sources.errors import SourceError
from otc_assets.sources.finra_client import Credentials
from otc_assets_tests.finra.conftest import ID, SECRET, SIGNS, WEEK, index_of, named, quick, told
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import DATA, TOKEN

MINE = Credentials(ID, SECRET)


@pytest.fixture
def client(server, unlimited):
    """A client that must show a token."""
    server.is_anonymous_allowed = False
    return quick(server, MINE, attempts=8)


def test_one_token_serves_many_requests(server, client):
    assert index_of(client).files_of(WEEK)
    assert len(server.asked(DATA)) > 3
    assert len(server.asked(TOKEN)) == 1


def test_a_client_without_credentials_shows_nothing(server, unlimited):
    quick(server).partitions()
    assert server.requests[0].headers.get("Authorization") is None


def test_a_client_without_credentials_is_refused_where_there_is_no_anonymous_access(
    server, unlimited
):
    server.is_anonymous_allowed = False
    with pytest.raises(SourceError, match=r"missing, wrong or expired.*check FINRA_CLIENT_ID"):
        quick(server).partitions()


def test_a_token_that_has_run_out_is_renewed_once(server, client, caplog):
    client.partitions()
    server.expire_tokens()
    client.partitions()
    client.partitions()
    assert len(server.asked(TOKEN)) == 2
    assert len(told(caplog)) == 1
    assert "401 Unauthorized: The access token is missing, wrong or expired" in told(caplog)[0]


def test_a_second_401_is_the_end(server, client, caplog):
    server.faults.always(Fault.EXPIRED, asks="partitions")
    with pytest.raises(SourceError, match=r"The message of a 401.*check FINRA_CLIENT_ID") as end:
        client.partitions()
    assert named(told(caplog, end.value)) == {Fault.EXPIRED: 2}
    assert len(server.asked(TOKEN)) == 2


def test_wrong_credentials_are_refused_at_once(server, unlimited):
    with pytest.raises(SourceError, match="Unknown client id, or a wrong secret"):
        quick(server, Credentials(ID, "guessed")).partitions()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [Fault.UNAVAILABLE, Fault.TOO_MANY_SECONDS, Fault.HTML, Fault.CUT_JSON, Fault.RESET],
)
def test_faults_of_the_token_service_are_recovered_from(server, client, caplog, fault):
    server.faults.next(fault)
    assert client.partitions()
    assert server.asked(TOKEN)[0].fault is fault
    assert named(told(caplog)) == {fault: 1}


def test_a_token_service_that_stays_away_is_refused_in_its_own_words(server, client):
    server.faults.always(Fault.UNAVAILABLE, asks="token")
    with pytest.raises(SourceError, match=SIGNS[Fault.UNAVAILABLE]):
        client.partitions()


def test_no_secret_is_in_any_log_record_error_or_repr(server, client, caplog):
    caplog.set_level(logging.DEBUG)
    shown = [repr(MINE), str(MINE), repr(client), repr(client._http)]
    server.faults.next(Fault.EXPIRED, Fault.RESET, Fault.HTML, Fault.CUT_JSON, Fault.SERVER_ERROR)
    assert index_of(client).files_of(WEEK)
    for fault in (Fault.EXPIRED, Fault.FORBIDDEN, Fault.RESET):
        server.faults.always(fault)
        with pytest.raises(SourceError) as refused:
            index_of(client).files_of(WEEK)
        shown += [str(refused.value), repr(refused.value), repr(refused.value.__cause__)]
    shown += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    login = base64.b64encode(f"{ID}:{SECRET}".encode()).decode()
    assert server.tokens
    for secret in (ID, SECRET, login, *server.tokens):
        assert not [text for text in shown if secret in text]
