"""Pages put together are the whole answer, each row once, whatever their size."""

import io
from typing import Any

import httpx
import pandas as pd
import pytest

from otc_assets.serving import paging
from otc_assets.serving.paging import Part, Place, page_of


def pages(api: httpx.Client, question: str, limit: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    while True:
        asked = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = api.get(
            f"/v1/{question}", params=httpx.QueryParams(question.partition("?")[2]).merge(asked)
        )
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["data"])
        assert len(found[-1]) <= limit
        cursor = answer.json()["meta"]["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("question", "limit"),
    [
        ("as-of?day=2025-07-30", 61),
        ("latest?symbol=PXDT&symbol=XGON", 1),
        ("compare?before=2025-06-25&after=2025-07-30", 17),
        ("history?symbol=PXDT", 2),
        ("symbols?search=p", 7),
        ("venues", 5),
        ("venue-share", 7),
        ("venue-share?venue=ABCD&venue=BRCH", 1),
        ("venue-volume?symbol=PXDT", 3),
        ("coverage", 50),
        ("gaps?day=2025-08-05", 4),
        ("quality", 37),
        ("revisions", 1),
        ("features?week=2025-05-16", 97),
        ("events", 29),
        ("tables/concentration", 251),
        ("tables/raw?tier=OTC", 301),
    ],
)
def test_pages_are_the_whole_answer(api: httpx.Client, question: str, limit: int):
    (whole,) = pages(api, question, 10_000)
    parts = pages(api, question, limit)
    assert [row for part in parts for row in part] == whole
    assert len(parts) >= len(whole) / limit
    assert len(whole) > 2


def test_the_link_leads_to_the_next_page_in_every_format(sqlite_api: httpx.Client):
    first = sqlite_api.get("/v1/latest?tier=OTC&limit=5&format=csv")
    url, _, rel = first.headers["link"].partition(">; ")
    second = sqlite_api.get(url.removeprefix("<"))
    assert rel == 'rel="next"'
    symbols = [pd.read_csv(io.BytesIO(page.content))["symbol"].tolist() for page in (first, second)]
    assert len(symbols[0]) == len(symbols[1]) == 5
    assert not set(symbols[0]) & set(symbols[1])


def test_a_cursor_of_another_question_is_refused(sqlite_api: httpx.Client):
    cursor = sqlite_api.get("/v1/latest?limit=1").json()["meta"]["next"]
    for question in ("latest?tier=OTC", "as-of?day=2025-07-01", "latest?dataset=non_ats"):
        separator = "&" if "?" in question else "?"
        answer = sqlite_api.get(f"/v1/{question}{separator}cursor={cursor}")
        assert (answer.status_code, answer.json()["argument"]) == (422, "cursor")


def test_rows_that_come_in_the_meantime_neither_repeat_nor_hide_any():
    rows = pd.DataFrame({"symbol": ["A", "C", "E"]})
    first = page_of([Part("", lambda: rows)], ["symbol"], None, 2)
    more = pd.DataFrame({"symbol": ["A", "B", "C", "D", "E"]})  # B is too late, D is not
    second = page_of([Part("", lambda: more)], ["symbol"], first.following, 10)
    assert [*first.rows["symbol"], *second.rows["symbol"]] == ["A", "C", "D", "E"]


def test_a_page_reads_only_so_many_slices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paging, "MAX_PARTS", 3)
    read: list[int] = []

    def part(number: int) -> Part:
        def rows() -> pd.DataFrame:
            read.append(number)
            return pd.DataFrame({"symbol": ["A"]})

        return Part(str(number), rows)

    parts = [part(number) for number in range(8)]
    page = page_of(parts, ["symbol"], None, 1000)
    assert (len(page.rows), page.following, read) == (3, Place("3"), [0, 1, 2])


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_a_stream_is_the_whole_table(sqlite_api: httpx.Client, kind: str):
    answer = sqlite_api.get(f"/v1/tables/concentration?stream=true&format={kind}")
    content = io.BytesIO(answer.content)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "arrow": pd.read_feather}
    if kind == "arrow":
        import pyarrow as pa

        rows = pa.ipc.open_stream(content).read_pandas()
    else:
        rows = read[kind](content)
    (whole,) = pages(sqlite_api, "tables/concentration", 10_000)
    assert list(rows["symbol"]) == [row["symbol"] for row in whole]


def test_a_stream_is_sent_slice_by_slice(sqlite_api: httpx.Client):
    with sqlite_api.stream("GET", "/v1/tables/raw?stream=true&format=arrow") as answer:
        assert "content-length" not in answer.headers
        assert answer.headers["transfer-encoding"] == "chunked"
        assert len(list(answer.iter_raw())) > 4
