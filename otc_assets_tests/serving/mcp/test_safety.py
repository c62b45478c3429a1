"""Hostile arguments and bytes, a token, a store that is gone: and the tools go on answering."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError

from otc_assets.serving.limits import MAX_MESSAGE_BYTES
from otc_assets.serving.mcp import endpoint
from otc_assets_tests.serving.conftest import serving
from otc_assets_tests.serving.mcp.conftest import Asker, address, asking, command, with_token

TOKEN = "a-token-of-the-tests"
pytestmark = pytest.mark.filterwarnings("ignore::otc_assets.research.knowledge.UnknownSymbol")
ASKED = {"symbol": "PXDT", "week": "2025-05-23"}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("what_was_known", {}, "symbol: Field required"),
    ("what_was_known", {"symbols": "PXDT"}, "symbols: no such argument; there are dataset, "),
    ("what_was_known", {"symbol": "P\0"}, "symbol: a text of 1 to 200 characters, without NUL"),
    ("what_was_known", {"symbol": "P" * 9_999}, "symbol: String should have at most 200"),
    ("what_was_known", {"symbol": ["PXDT"]}, "symbol: Input should be a valid string"),
    ("what_was_known", {"symbol": "PXDT", "day": "yesterday"}, "day: 'yesterday' is no day"),
    ("what_was_known", {"symbol": "PXDT", "day": "0001-01-01T00:00+00:00"}, "day: "),
    ("what_was_known", {"symbol": "PXDT", "week": "2025-05-22"}, "week: "),
    ("what_was_known", {"symbol": "PXDT", "tier": "T1"}, "'NMS Tier 1', 'NMS Tier 2' or 'OTC'"),
    ("what_was_known", {"symbol": "PXDT", "dataset": "nms"}, "'ats' or 'non_ats'"),
    ("what_was_known", {"symbol": "PXDT", "limit": 0}, "limit: "),
    ("what_was_known", {"symbol": "PXDT", "limit": 10**30}, "limit: "),
    ("what_was_known", {"symbol": "PXDT", "offset": -1}, "offset: "),
    ("find_symbol", {"search": ""}, "search: "),
    ("top_movers", {"tier": "NMS Tier 1", "by": "symbol; DROP TABLE raw"}, "by: "),
    ("top_movers", {"tier": "NMS Tier 1", "week": "2025-05-30"}, "weeks are from 2025-05-16 to"),
    ("venue_league", {"tier": "NMS Tier 2"}, "tiers with weeks: NMS Tier 1, OTC"),
    ("venue_league", {"tier": "OTC", "day": "2001-01-01"}, "tiers with weeks: none"),
    ("coverage", {"weeks": 1_001}, "weeks: "),
    ("explain_number", {"symbol": "PXDT"}, "week: Field required"),
]
HARMLESS = ["'; DROP TABLE raw; --", "<script>alert(1)</script>", "../../etc/passwd", "%", "\u202e"]


@pytest.mark.parametrize(("tool", "arguments", "said"), WRONG)
def test_an_error_names_the_argument_and_what_is_allowed(
    tool: str, arguments: dict[str, Any], said: str, served: tuple[httpx.Client, Asker]
):
    error = served[1].error(tool, **arguments)
    assert said in error
    assert len(error) < 500


def test_a_text_is_only_ever_a_value(served: tuple[httpx.Client, Asker]):
    for text in HARMLESS:
        assert served[1].answer("what_was_known", symbol=text)["rows"] == []
        assert served[1].answer("find_symbol", search=text)["meta"]["total"] == 0


def test_a_tool_that_is_not_there_is_an_error_of_the_protocol(served: tuple[httpx.Client, Asker]):
    with pytest.raises(MCPError, match="no tool 'drop'; there are find_symbol"):
        served[1].call("drop")


def test_bytes_that_are_no_message_are_refused_and_do_no_harm(served: tuple[httpx.Client, Asker]):
    api, asker = served
    deep = b"[" * 30_000 + b"]" * 30_000
    for body in (b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"jsonrpc": "2.0"}', deep):
        assert 400 <= api.post("/mcp", content=body, headers=HEADERS).status_code < 500
    assert api.post("/mcp", content=b" " * (MAX_MESSAGE_BYTES + 1)).status_code == 413
    form = {**HEADERS, "Content-Type": "text/plain"}  # what a page of another site may send
    assert 400 <= api.post("/mcp", json=LIST, headers=form).status_code < 500
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert api.request(method, "/mcp", headers=HEADERS).status_code == 405
    assert asker.answer("explain_number", **ASKED)["rows"]


def test_a_message_that_does_not_arrive_is_not_waited_for(
    served: tuple[httpx.Client, Asker], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(endpoint, "HEADER_SECONDS", 0.1)
    url = served[0].base_url
    with socket.create_connection((url.host, url.port), timeout=20) as connection:
        connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 408")


def test_the_token_and_the_rate_are_those_of_the_server(judged_home: Path):
    settings = {"OTC_HOME": str(judged_home), "OTC_API_TOKEN": TOKEN}
    with serving(**settings) as api:
        for header in ({}, {"Authorization": "Bearer another"}):
            answer = api.post("/mcp", json=LIST, headers=HEADERS | header)
            assert answer.status_code == 401
            assert "tools" not in answer.text
        with with_token(address(api), TOKEN) as asker:
            assert asker.answer("what_was_known", symbol="PXDT")["rows"]
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        counted = api.get("/metrics", headers=bearer).text
        assert 'otc_api_requests_total{route="/mcp",status="200"}' in counted
    with serving(OTC_HOME=str(judged_home), OTC_API_REQUESTS_PER_SECOND="0.5") as api:
        statuses = [api.post("/mcp", json=LIST, headers=HEADERS).status_code for _ in range(3)]
        assert statuses[-1] == 429


def test_without_a_token_no_other_host_is_answered(served: tuple[httpx.Client, Asker]):
    other = HEADERS | {"Host": "evil.example"}
    assert served[0].post("/mcp", json=LIST, headers=other).status_code == 403


def test_a_store_that_is_gone_is_an_error_until_it_is_back(own_home: Path):
    database, away = own_home / "otc.db", own_home / "away.db"
    with asking(command(own_home)) as asker:
        assert asker.answer("what_was_known", symbol="PXDT")["rows"]
        database.rename(away)
        for tool, arguments in (("what_was_known", {"symbol": "PXDT"}), ("coverage", {})):
            assert "the store cannot be read" in asker.error(tool, **arguments)
        away.rename(database)
        assert asker.answer("explain_number", **ASKED)["rows"]
    assert not list(own_home.glob("*.py"))
