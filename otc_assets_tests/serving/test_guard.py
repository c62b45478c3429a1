"""Who may ask, how often, and that nobody can write or keep the database busy."""

import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import sqlalchemy as sa

from otc_assets.research import knowledge
from otc_assets.serving import guard, limits, stores
from otc_assets.serving.guard import Guard, Rates
from otc_assets.serving.limits import MAX_CLIENTS
from otc_assets.serving.routes import tables
from otc_assets.serving.server import check_address
from otc_assets.serving.stores import store_named
from otc_assets_tests.serving.conftest import serving

TOKEN = "a-token-of-the-tests"
ASKED = "/v1/latest?symbol=PXDT&week=2025-05-16"


def test_the_servers_connections_cannot_write(api: httpx.Client):
    api.get(ASKED)
    engine = store_named("ats").engine  # that of the server, which is in this process
    for statement in (
        "DELETE FROM manifest",
        "CREATE TABLE x (y int)",
        "DROP VIEW research_latest",
    ):
        with pytest.raises(sa.exc.DBAPIError, match=r"read.?only"), engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_a_query_that_takes_too_long_is_ended_by_the_database(
    store_url: str, judged_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stores, "QUERY_SECONDS", 0.2)
    knowledge._store.cache_clear()  # whose connections have the usual time
    endless = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
        SELECT count(*) FROM n"""

    def read() -> None:
        with store_named("ats").read() as reader:
            reader.connection.exec_driver_sql(endless)

    with serving(OTC_HOME=str(judged_home), OTC_DATABASE_URL=store_url) as api:
        monkeypatch.setattr(knowledge, "select_columns", lambda *_, **__: read())
        answer = api.get(ASKED)
        monkeypatch.undo()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert "took longer" in answer.json()["detail"]
        assert api.get(ASKED).status_code == 200
    knowledge._store.cache_clear()


def test_a_token_is_asked_for_and_shown_to_nobody(
    judged_home: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with serving(OTC_HOME=str(judged_home), OTC_API_TOKEN=TOKEN) as api:
        for header in (None, "", "Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"):
            answer = api.get(ASKED, headers={} if header is None else {"Authorization": header})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert TOKEN not in str(answer.headers) + answer.text
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        assert api.get(ASKED, headers=authorized).status_code == 200
        assert api.get("/metrics").status_code == api.get("/v1/openapi.json").status_code == 401
        assert api.get("/health").status_code == 200
        assert api.get("/nothing").status_code == 401
        assert TOKEN not in api.get("/v1/openapi.json", headers=authorized).text
    assert TOKEN not in "".join(capfd.readouterr()) + caplog.text


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[bytes, bytes]] = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(guard, "hmac", SimpleNamespace(compare_digest=compare_digest))
    scope = {"headers": [(b"authorization", b"Bearer \xff")], "type": "http"}
    assert not Guard(None, TOKEN, 1)._is_authorized(scope)  # type: ignore[arg-type]
    assert compared == [(b"\xff", TOKEN.encode())]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "example.com"])
def test_without_a_token_only_this_machine_is_listened_to(
    host: str, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ValueError, match="OTC_API_TOKEN"):
        check_address(host)
    for local in ("127.0.0.1", "127.8.8.8", "localhost", "::1"):
        check_address(local)
    monkeypatch.setenv("OTC_API_TOKEN", TOKEN)
    check_address(host)
    monkeypatch.setenv("OTC_API_TOKEN", "short")
    with pytest.raises(ValueError, match="16 or more"):
        check_address("127.0.0.1")


def test_without_a_token_no_name_of_another_host_is_answered(sqlite_api: httpx.Client):
    assert sqlite_api.get(ASKED, headers={"Host": "evil.example"}).status_code == 403
    for name in ("localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"):
        assert sqlite_api.get(ASKED, headers={"Host": name}).status_code == 200


def test_a_client_that_asks_too_often_is_told_when_to_come_back(judged_home: Path):
    with serving(OTC_HOME=str(judged_home), OTC_API_REQUESTS_PER_SECOND="1") as api:
        answers = [api.get("/v1/symbols") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"


def test_a_bucket_fills_again_and_belongs_to_one_client():
    rates = Rates(2)
    assert [rates.wait("a", 0.0) > 0 for _ in range(5)] == [False] * 4 + [True]
    assert rates.wait("b", 0.0) == 0
    assert rates.wait("a", 0.5) == 0
    assert rates.wait("a", 0.5) == pytest.approx(0.5)


def test_only_so_many_clients_are_remembered():
    rates = Rates(1)
    for number in range(MAX_CLIENTS + 50):
        rates.wait(str(number), 0.0)
    assert len(rates._buckets) == MAX_CLIENTS


def test_a_network_of_ipv6_is_one_client():
    clients = ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "192.0.2.1", "somewhere")
    found = [guard._client({"client": (host, 1)}) for host in clients]
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_too_many_at_the_same_time_are_told_to_come_back(
    judged_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guard, "MAX_IN_FLIGHT", 1)
    entered, leave = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> None:
        entered.set()
        leave.wait(20)

    with serving(OTC_HOME=str(judged_home)) as api:
        monkeypatch.setattr("otc_assets.serving.routes.names.find_symbols", slow)
        thread = threading.Thread(target=lambda: api.get("/v1/symbols"))
        thread.start()
        assert entered.wait(20)
        refused = api.get(ASKED)
        leave.set()
        thread.join()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert api.get(ASKED).status_code == 200


def test_only_so_many_tables_are_streamed(sqlite_api: httpx.Client, monkeypatch):
    monkeypatch.setattr(tables, "_streams", threading.BoundedSemaphore(1))
    asked = "/v1/tables/venue_share?stream=true&format=csv"
    with tables._streams:
        assert sqlite_api.get(asked).status_code == 503
    assert sqlite_api.get(asked).status_code == 200
    assert sqlite_api.get(asked).status_code == 200


def test_every_answer_is_safe_to_show(sqlite_api: httpx.Client):
    for path in (ASKED, "/nothing", "/health", "/v1/latest?tier=x", "/metrics"):
        headers = sqlite_api.get(path, headers={"Origin": "https://evil.example"}).headers
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control")]
        assert "server" not in headers


def test_an_error_of_ours_says_nothing_of_us(
    sqlite_api: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("otc_assets.serving.routes.names.find_symbols", fail)
    answer = sqlite_api.get("/v1/symbols")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_requests_are_counted_by_route(sqlite_api: httpx.Client):
    for path in ("/v1/latest?symbol=PXDT", "/v1/latest?tier=x", "/nothing"):
        sqlite_api.get(path)
    text = sqlite_api.get("/metrics").text
    assert 'otc_api_requests_total{route="/v1/latest",status="422"}' in text
    assert 'otc_api_request_seconds_count{route="/v1/latest"}' in text
    assert 'otc_api_requests_total{route="none",status="404"}' in text
    assert "otc_weeks_ingested_total" in text  # the store's own
    assert "nothing" not in text


def test_limits_are_what_the_page_says():
    from otc_assets_tests.conftest import REPOSITORY

    page = (REPOSITORY / "docs/api.md").read_text()
    assert f"`limit` is {limits.DEFAULT_ROWS:,} rows, and at most {limits.MAX_ROWS:,}" in page
    assert f"Up to {limits.MAX_SYMBOLS} symbols and {limits.MAX_WEEKS} weeks" in page
    assert f"more than {limits.QUERY_SECONDS} seconds is ended" in page
    assert f"works on {limits.THREADS} requests" in page
