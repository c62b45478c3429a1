"""An error names the argument and what is allowed, as RFC 9457 has it, and leaks nothing."""

import shutil
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from otc_assets_tests.serving.conftest import serving

pytestmark = pytest.mark.filterwarnings("ignore::otc_assets.research.knowledge.UnknownSymbol")
EVENT = "0197292f-3a51-7c9e-8f63-6d0f2f8f3a11"
WRONG = [
    ("as-of", "day", "required"),
    ("as-of?day=yesterday", "day", "2025-01-15"),
    ("as-of?day=2025-06-20T09:00", "day", "no time zone"),
    ("as-of?day=0001-01-01T00:00Z", "day", ""),
    ("latest?tier=T1", "tier", "NMS Tier 1, NMS Tier 2, OTC"),
    ("latest?week=2025-05-15", "week", "Thursday"),
    ("latest?dataset=dealers", "dataset", "ats, non_ats"),
    ("latest?symbl=PXDT", "symbl", "symbol"),
    ("latest?symbol=", "symbol", "1 to 200 characters"),
    ("latest?symbol=%00", "symbol", "NUL"),
    ("latest?" + "&".join(["symbol=A"] * 51), "symbol", "at most 50"),
    ("latest?" + "&".join(["week=2025-05-16"] * 111), "week", "at most 110"),
    ("latest?limit=0", "limit", "greater than or equal to 1"),
    ("latest?limit=10001", "limit", "less than or equal to 10000"),
    ("latest?cursor=abc", "cursor", "next"),
    ("latest?format=xls", "format", "json, csv, parquet, arrow"),
    ("compare?before=2025-07-01&after=2025-06-01", "after", "earlier"),
    ("history", "symbol", "required"),
    ("venue-volume", "symbol", "name one"),
    ("features", "week", "name 1 to 13 weeks"),
    ("gaps?day=9999-12-31", "day", "a year ahead"),
    ("events?aggregate_id=x", "aggregate_id", "aggregate_type"),
    ("events?event_type=NOTHING", "event_type", "RAW_RECORDS_INGESTED"),
    ("events?since=9999-12-31T23:59:00-12:00", "since", ""),
    ("events/1/chain", "event_id", "UUID"),
    (f"events/{EVENT}/chain?direction=back", "direction", "'up' or 'down'"),
    ("tables/passwords", "table", "'venue_volume'"),
    ("tables/raw_rows", "table", "'venue_volume'"),
    ("tables/raw?stream=true", "format", "csv, parquet or arrow"),
]


@pytest.mark.parametrize(("question", "argument", "said"), WRONG)
def test_a_wrong_argument_is_named(
    sqlite_api: httpx.Client, question: str, argument: str, said: str
):
    answer = sqlite_api.get(f"/v1/{question}")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (422, 422)
    assert problem["argument"] == argument
    assert said in problem["detail"]


def test_what_is_not_there_is_a_problem_too(sqlite_api: httpx.Client):
    for path in ("/nothing", "/v1", "/v1/tables", "/docs", f"/v1/events/{EVENT}/chain"):
        answer = sqlite_api.get(path)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(sqlite_api: httpx.Client, method: str):
    answer = sqlite_api.request(method, "/v1/latest")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_format_that_is_none_of_ours_is_not_acceptable(sqlite_api: httpx.Client):
    answer = sqlite_api.get("/v1/latest", headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert "text/csv" in answer.json()["detail"]


@pytest.mark.parametrize(
    "symbol",
    ["BRK.B", "ABR$D", "<script>alert(1)</script>", "pxdt", "ÄÖ\u202e", "' OR 1=1 --", "%", "a\nb"],
)
def test_a_symbol_is_a_value_and_never_changed(api: httpx.Client, symbol: str):
    for question in (
        "latest?symbol=",
        "history?symbol=",
        "venue-volume?symbol=",
        "symbols?search=",
    ):
        answer = api.get(f"/v1/{question}{quote(symbol, safe='')}")
        assert answer.status_code == 200
        assert answer.json()["data"] == [] or symbol == "pxdt"
        assert answer.headers["content-type"] == "application/json"
    (warning,) = api.get("/v1/latest", params={"symbol": symbol}).json()["meta"]["warnings"]
    assert repr(symbol) in warning
    csv = api.get("/v1/latest", params={"symbol": symbol, "format": "csv"})
    assert repr(symbol) in httpx.Response(200, content=csv.headers["otc-warnings"]).json()[0]


def test_the_spelling_that_there_is_is_named(sqlite_api: httpx.Client):
    answer = sqlite_api.get("/v1/latest?symbol=pxdt").json()
    assert answer["meta"]["warnings"] == ["no symbol 'pxdt' in any week; it has PXDT"]


def test_without_a_store_health_says_so_and_nothing_is_created(tmp_path: Path):
    with serving(OTC_HOME=str(tmp_path / "home")) as api:
        health, answer = api.get("/health"), api.get("/v1/latest")
    assert health.status_code == answer.status_code == 503
    assert "no file" in health.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_gone_or_another_one_is_noticed(own_home: Path, filled_home: Path):
    with serving(OTC_HOME=str(own_home)) as api:
        assert api.get("/health").json() == {"status": "well"}
        (own_home / "otc.db").rename(own_home / "elsewhere.db")
        assert api.get("/health").status_code == 503
        assert api.get("/v1/latest").status_code == 503
        shutil.copy(filled_home / "otc.db", own_home)
        assert api.get("/health").status_code == 200
        assert api.get("/v1/latest").status_code == 200
