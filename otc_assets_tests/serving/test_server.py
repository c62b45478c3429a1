"""`otc serve` as a process: several of them, clients that are slow on purpose, and its end."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner

from otc_assets.cli.main import otc
from otc_assets.serving import protocol
from otc_assets.settings import DEFAULTS
from otc_assets_tests.cli.conftest import OTC
from otc_assets_tests.serving.conftest import serving
from otc_assets_tests.serving.started import address_of

ASKED = "/v1/latest?symbol=PXDT"


@contextmanager
def processes(home: Path, workers: int, folder: Path) -> Iterator[httpx.Client]:
    """Start the command on any free port, wait for its workers, and end it."""
    environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS}
    environment |= {"OTC_HOME": str(home), "TMPDIR": str(folder)}
    command = [OTC, "serve", "--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        with httpx.Client(base_url=address_of(process, workers), timeout=30) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()


def test_two_processes_give_one_answer_and_one_count(judged_home: Path, tmp_path: Path):
    with processes(judged_home, 2, tmp_path) as client:

        def ask(_: int) -> tuple[str, bytes]:
            answer = httpx.get(str(client.base_url) + ASKED, timeout=30)  # a connection of its own
            return answer.headers["etag"], answer.content

        with ThreadPoolExecutor(8) as threads:
            answers = set(threads.map(ask, range(40)))
        assert len(answers) == 1
        text = client.get("/metrics").text  # of either
        assert re.search(r'otc_api_requests_total\{.*route="/v1/latest".*\} 40\.0', text)
        assert list(tmp_path.glob("otc-serve-*"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--host", "0.0.0.0"], {}, "OTC_API_TOKEN"),
        ([], {"OTC_API_TOKEN": "short"}, "16 or more"),
        ([], {"OTC_HOME": "/no/such/home"}, "no file /no/such/home/otc.db"),
        ([], {"OTC_API_REQUESTS_PER_SECOND": "many"}, "must be a positive number"),
        (["--workers", "0"], {}, "--workers"),
    ],
)
def test_it_does_not_start_where_it_should_not(
    judged_home: Path, arguments: list[str], settings: dict[str, str], said: str
):
    environment = dict.fromkeys(DEFAULTS, "") | {"OTC_HOME": str(judged_home)} | settings
    done = CliRunner(env=environment).invoke(otc, ["serve", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


def test_no_other_command_imports_the_server():
    code = "import sys, otc_assets.cli.main; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"fastapi", "uvicorn", "starlette", "dagster"} & set(done.stdout.split())


def test_a_client_that_never_ends_its_request_is_cut_off(
    judged_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)
    with serving(OTC_HOME=str(judged_home)) as api:
        url = api.base_url
        with socket.create_connection((url.host, url.port or 0), timeout=10) as silent:
            assert ended(silent)
        with socket.create_connection((url.host, url.port or 0), timeout=10) as slow:
            slow.sendall(b"GET /v1/latest HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            assert ended(slow)
        assert api.get(ASKED).status_code == 200


def test_a_client_that_takes_no_answer_is_cut_off_and_others_are_answered(
    judged_home: Path, monkeypatch: pytest.MonkeyPatch
):
    large = pd.DataFrame(
        {"symbol": "A", "issue_name": "x" * 4000, "found_by": "symbol"}, range(4000)
    )
    monkeypatch.setattr(protocol, "SEND_SECONDS", 0.3)
    with serving(OTC_HOME=str(judged_home)) as api:
        monkeypatch.setattr("otc_assets.serving.routes.names.find_symbols", lambda *_, **__: large)
        url, ends = api.base_url, select.poll()
        clients = [socket.create_connection((url.host, url.port or 0)) for _ in range(12)]
        for client in clients:
            client.sendall(b"GET /v1/symbols?limit=10000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            ends.register(client, select.POLLHUP)
        waiting = {client.fileno() for client in clients}
        deadline = time.monotonic() + 30
        while waiting and time.monotonic() < deadline:
            assert api.get("/health").status_code == 200
            waiting -= {number for number, _ in ends.poll(200)}
            for number in {client.fileno() for client in clients} - waiting:
                ends.modify(number, 0)
        assert not waiting
        assert api.get(ASKED).status_code == 200
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=["a long path", "a long header", "TLS", "no ASCII"],
)
def test_what_is_no_request_of_a_usual_size_is_refused(sqlite_api: httpx.Client, sent: bytes):
    url = sqlite_api.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    assert sqlite_api.get(ASKED).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "a-host-that-is-refused-at-once"])
@pytest.mark.parametrize("asked", ["POST /mcp", f"GET {ASKED}"])
def test_noise_in_the_body_of_a_request_is_no_error_of_ours(
    sqlite_api: httpx.Client, caplog: pytest.LogCaptureFixture, asked: str, host: str
):
    head = f"{asked} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    noise, url = b"no length of a chunk\r\n", sqlite_api.base_url
    for pieces in ([head + noise], [head, noise]):
        with socket.create_connection((url.host, url.port or 0), timeout=10) as client:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.02)  # for it to be answered
            while not ended(client):
                pass
    assert sqlite_api.get(ASKED).status_code == 200
    assert [r.getMessage() for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


def ended(client: socket.socket) -> bool:
    """Whether the other side has ended a connection, within the socket's time."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True
