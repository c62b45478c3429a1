"""One answer in four formats, read by programs that are not ours."""

import gzip
import io
import shutil
import subprocess

import duckdb
import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otc_assets.research import latest
from otc_assets.research.extract import table_batches
from otc_assets.serving.arguments import FORMATS

QUESTION = "/v1/latest?tier=OTC&week=2025-05-16"


@pytest.fixture(scope="module")
def known(judged_home) -> pd.DataFrame:
    url = f"sqlite:///{judged_home / 'otc.db'}"
    return latest(tiers="OTC", weeks="2025-05-16", database_url=url)


def volumes(frame: pd.DataFrame) -> dict[str, float]:
    return dict(zip(frame["symbol"], frame["total_volume"], strict=True))


def test_pandas_reads_parquet_from_the_address(sqlite_api: httpx.Client, known: pd.DataFrame):
    url = str(sqlite_api.base_url) + QUESTION
    read = pd.read_parquet(f"{url}&format=parquet")
    assert list(read.columns) == list(known.columns)
    assert volumes(read) == volumes(known)


def test_pandas_reads_csv_from_the_address(sqlite_api: httpx.Client, known: pd.DataFrame):
    url = str(sqlite_api.base_url) + QUESTION
    read = pd.read_csv(f"{url}&format=csv", parse_dates=["week_ending"])
    assert volumes(read) == volumes(known)


def test_duckdb_reads_what_is_streamed(sqlite_api: httpx.Client, judged_home, tmp_path):
    answer = sqlite_api.get("/v1/tables/venue_volume?stream=true&format=parquet")
    (tmp_path / "volume.parquet").write_bytes(answer.content)
    (read,) = duckdb.sql(
        f"SELECT count(*), sum(share_volume) FROM '{tmp_path}/volume.parquet'"
    ).fetchall()
    url = f"sqlite:///{judged_home / 'otc.db'}"
    truth = pa.concat_tables(table_batches("venue_volume", database_url=url))
    assert read == (truth.num_rows, pytest.approx(truth["share_volume"].to_pandas().sum()))


def test_arrow_is_a_stream_with_types(sqlite_api: httpx.Client, known: pd.DataFrame):
    answer = sqlite_api.get(QUESTION, headers={"Accept": FORMATS["arrow"]})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.schema.field("week_ending").type == pa.date32()
    assert volumes(table.to_pandas()) == volumes(known)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_reads_it_compressed(sqlite_api: httpx.Client, known: pd.DataFrame):
    url = str(sqlite_api.base_url) + QUESTION
    done = subprocess.run(
        ["curl", "-sS", "--compressed", "-H", "Accept: text/csv", url],
        capture_output=True,
        check=True,
    )
    assert volumes(pd.read_csv(io.BytesIO(done.stdout))) == volumes(known)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv", "text/csv"),
        ("application/json;q=0.1, text/csv;q=0.9", "text/csv"),
        ("text/*", "text/csv"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/csv;q=0, application/json", "application/json"),
    ],
)
def test_accept_chooses_the_format(sqlite_api: httpx.Client, accept: str, media: str):
    answer = sqlite_api.get(QUESTION, headers={"Accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == media


def test_an_argument_goes_before_accept(sqlite_api: httpx.Client):
    answer = sqlite_api.get(f"{QUESTION}&format=csv", headers={"Accept": "application/json"})
    assert answer.headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_says_as_of_when_and_whose_data_they_are(sqlite_api: httpx.Client, kind: str):
    answer = sqlite_api.get(f"/v1/as-of?day=2025-06-25&symbol=PXDT&format={kind}")
    assert answer.headers["otc-as-of"] == "2025-06-25"
    assert answer.headers["otc-dataset"] == "ats"
    assert "FINRA" in answer.headers["otc-attribution"]
    assert "terms-of-use" in answer.headers["otc-licence"]
    if kind == "json":
        meta = answer.json()["meta"]
    elif kind == "csv":
        return
    else:
        schema = (
            pq.read_schema(io.BytesIO(answer.content))
            if kind == "parquet"
            else pa.ipc.open_stream(answer.content).schema
        )
        meta = {name.decode(): text.decode() for name, text in schema.metadata.items()}
    assert (meta["as_of"], meta["dataset"]) == ("2025-06-25", "ats")
    assert "FINRA" in meta["attribution"]
    assert "terms-of-use" in meta["licence"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_an_answer_without_rows_has_its_columns(sqlite_api: httpx.Client, kind: str):
    content = sqlite_api.get(f"/v1/latest?symbol=NOSUCH&format={kind}").content
    read = {
        "csv": lambda: pd.read_csv(io.BytesIO(content)),
        "parquet": lambda: pd.read_parquet(io.BytesIO(content)),
        "arrow": lambda: pa.ipc.open_stream(content).read_pandas(),
    }[kind]()
    assert len(read) == 0
    assert {"symbol", "total_volume", "as_of_date"} <= set(read.columns)


def test_events_have_their_moments_and_facts_in_every_format(sqlite_api: httpx.Client):
    (row, *_) = sqlite_api.get("/v1/events?limit=1").json()["data"]
    read = pd.read_parquet(
        io.BytesIO(sqlite_api.get("/v1/events?limit=1&format=parquet").content)
    ).iloc[0]
    assert pd.Timestamp(row["created_at"]) == read["created_at"]
    assert pd.io.json.ujson_loads(read["payload"]) == row["payload"]


def test_large_answers_are_compressed_for_who_takes_it(sqlite_api: httpx.Client):
    with sqlite_api.stream("GET", QUESTION, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    plain = sqlite_api.get(QUESTION, headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain.content
    assert len(packed) < len(plain.content) / 3
    assert answer.headers["etag"] != plain.headers["etag"]


def test_head_is_get_without_its_body(sqlite_api: httpx.Client):
    got, head = sqlite_api.get(QUESTION), sqlite_api.head(QUESTION)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    stream = sqlite_api.head("/v1/tables/raw?stream=true&format=csv")
    assert (stream.status_code, stream.content) == (200, b"")
