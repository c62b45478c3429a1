"""Clients that mean ill, all at once: slow ones, one that guesses tokens, noise, and odd questions.

The server runs as its command, with a token. Each kind of client comes from an address of its own,
so that the limits of one do not hide what another does.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic, sleep

import httpx
import psutil
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from benchmarks.entry import ROOT
from chaos.experiment import Counts, Experiment, Round
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import run, weeks
from otc_assets_tests.serving.started import address_of

TOKEN = "neither-guessed-nor-shown"
WORKERS = 2
SECONDS = 20
SLOW = 200
WAIT_SECONDS = 40
"""Within which a server lets go of clients that have gone."""
GROWTH_MB = 80
"""What all rounds together may add to the memory of a process: some of what it keeps to be fast is
filled by rare questions. 30 rounds have added 50 MB, all of it in the first 15."""
BUSY = (429, 503)
GOOD, GUESSER, NOISY, ODD = (f"127.0.0.{number}" for number in range(2, 6))
QUESTIONS = (
    "/v1/history?symbol=PXDT",
    "/v1/as-of?day=2025-07-01&tier=NMS+Tier+1&format=csv",
    "/v1/latest?limit=10000",
    "/symbol/PXDT",
)
Api = schemathesis.BaseSchema
Answers = dict[str, bytes]
"""By question."""
Client = Callable[[], None]
"""Does what it does once."""


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Fill a store, serve it, and ask it once in quiet."""
    slices = weeks(Tier, "2025-05-16", "2025-06-06")
    for dataset in DATASETS:
        warehouse = Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset)
        run(warehouse, FIXTURES, folder / "archive", slices)
        warehouse.engine.dispose()
    with _served(folder) as (address, processes, log):
        expected = _answers(address)
        described = httpx.get(f"{address}/v1/openapi.json", headers=_authorized(TOKEN))
        api = schemathesis.openapi.from_dict(described.json())
        _warm(address, api, expected)
        memory = [process.memory_info().rss for process in processes]

        def play(random: Random, counts: Counts) -> None:
            try:
                _play(address, api, expected, random, counts)
            except BaseException as error:
                error.add_note(_tail(log))
                raise
            _is_free_again(processes)
            assert _answers(address) == expected, "an answer is another one afterwards"
            _is_well(processes, memory, log)

        yield play


@contextmanager
def _served(home: Path) -> Iterator[tuple[str, Sequence[psutil.Process], Path]]:
    command = [sys.executable, "-m", "otc_assets.cli.main", "serve", "--port", "0"]
    log = home / "log"
    more = {"OTC_HOME": str(home), "OTC_API_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        process = subprocess.Popen(
            [*command, "--workers", str(WORKERS)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | more,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        address = address_of(process, WORKERS)
        threading.Thread(target=_kept, args=(process, log), daemon=True).start()
        children = psutil.Process(process.pid).children(recursive=True)
        yield address, [each for each in children if each.net_connections("tcp")], log


def _kept(process: "subprocess.Popen[str]", log: Path) -> None:
    """Read what the server says for as long as it runs: it would wait otherwise."""
    assert process.stderr
    with log.open("w") as kept:
        for line in process.stderr:
            kept.write(line)
            kept.flush()


def _authorized(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _answers(address: str) -> Answers:
    """Return what is answered to the questions when nothing else goes on."""
    with httpx.Client(base_url=address, headers=_authorized(TOKEN), timeout=30) as client:
        answers = [client.get(question) for question in QUESTIONS]
    assert [answer.status_code for answer in answers] == [200] * len(QUESTIONS), answers
    return {q: answer.content for q, answer in zip(QUESTIONS, answers, strict=True)}


def _play(address: str, api: Api, expected: Answers, random: Random, counts: Counts) -> None:
    """Let all clients at the server at once for `SECONDS`; the first difference is raised."""
    end, failures = monotonic() + SECONDS, list[BaseException]()
    clients = (
        partial(_ask, address, expected, Random(random.random()), counts),
        partial(_guess, address, Random(random.random()), counts),
        partial(_shout, address, Random(random.random()), counts),
        partial(_wonder, address, api, Random(random.random()), counts),
    )

    def repeat(client: Client) -> None:
        try:
            while monotonic() < end and not failures:
                client()
        except BaseException as error:  # an AssertionError of a thread is told by none
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=[client]) for client in clients]
    threads.append(threading.Thread(target=_crawl, args=[address, Random(random.random()), end]))
    counts["slow clients"] += SLOW
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _ask(address: str, expected: Answers, random: Random, counts: Counts) -> None:
    """Ask what has been asked in quiet: the answer is the same, or it is to be asked later."""
    question = random.choice(QUESTIONS)
    with _client(address, GOOD, _authorized(TOKEN)) as client:
        answer = client.get(question)
    if answer.status_code in BUSY:
        assert "retry-after" in answer.headers
        counts["asked to come later"] += 1
        return
    assert answer.status_code == 200, f"{question}: {answer.status_code} {answer.text[:200]}"
    assert answer.content == expected[question], question
    counts["right answers"] += 1
    sleep(0.05)


def _guess(address: str, random: Random, counts: Counts) -> None:
    """Guess a token: no guess is right, and none is told how near it was."""
    near = TOKEN[: random.randrange(len(TOKEN))] + random.choice("abcdefghij/ \t-")
    guess = random.choice([near, TOKEN + "x", TOKEN.upper(), "", "x" * random.randrange(5000)])
    sent = random.choice(["Bearer ", "Basic ", "bearer", ""]) + guess
    header = {"Authorization": sent.strip()}
    with _client(address, GUESSER, header) as client:
        answer = client.get(random.choice(QUESTIONS))
    assert answer.status_code in (401, *BUSY), f"{header}: {answer.status_code}"
    assert TOKEN not in answer.text
    counts["wrong tokens"] += 1


def _shout(address: str, random: Random, counts: Counts) -> None:
    """Send bytes that are no request, or the beginning of one with such bytes after it."""
    noise = random.randbytes(random.choice([1, 100, 5_000, 100_000]))
    begun = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    lengths = random.choice(["", "Content-Length: 999999\r\n", "Transfer-Encoding: chunked\r\n"])
    head = random.choice(["", "GET ", "GET / HTTP/1.1\r\n", begun + lengths + "\r\n"])
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port or 0), 10, (NOISY, 0)) as connection:
        connection.settimeout(0.2)
        try:
            connection.sendall(head.encode() + noise)
            said = connection.recv(15)
        except OSError:
            said = b""
    assert not said.startswith(b"HTTP/1.1 500"), (head, noise[:40])
    counts["pieces of noise"] += 1


def _warm(address: str, api: Api, expected: Answers) -> None:
    """Let each process load what it needs, and fill what it keeps to be fast."""
    for path in sorted([*api] * WORKERS):
        for mode in GenerationMode:
            _examine(address, api, path, mode, Random(path), Counts())
    _play(address, api, expected, Random(0), Counts())


def _wonder(address: str, api: Api, random: Random, counts: Counts) -> None:
    """Ask questions that the OpenAPI allows, or almost allows."""
    path, mode = random.choice(sorted(api)), random.choice([*GenerationMode])
    _examine(address, api, path, mode, random, counts)


def _examine(
    address: str, api: Api, path: str, mode: GenerationMode, random: Random, counts: Counts
) -> None:
    @seed(random.getrandbits(32))
    @settings(
        max_examples=10,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api[path]["GET"].as_strategy(mode))
    def holds(case: schemathesis.Case) -> None:
        headers = _authorized(TOKEN)
        answer = case.call(base_url=address, headers=headers, timeout=30)
        assert answer.status_code < 500 or answer.status_code in BUSY, case.as_curl_command()
        counts["odd questions"] += 1

    with suppress(Unsatisfiable):  # a path without arguments has no wrong ones
        holds()


def _crawl(address: str, random: Random, end: float) -> None:
    """Keep many connections that ask a byte at a time, or take their answer a byte at a time."""
    url, kept = httpx.URL(address), list[tuple[socket.socket, Iterator[bytes] | None]]()
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    for number in range(SLOW):
        source = f"127.0.1.{1 + number % 250}"
        try:
            connection = socket.create_connection((url.host, url.port or 0), 10, (source, 0))
        except OSError:
            continue
        asked = f"GET {random.choice(QUESTIONS)} HTTP/1.1\r\n{head}\r\n".encode()
        is_reader = number % 2 == 0
        if is_reader:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.sendall(asked)
        bytes_left = None if is_reader else (asked[n : n + 1] for n in range(len(asked)))
        connection.setblocking(False)
        kept.append((connection, bytes_left))
    while monotonic() < end:
        for connection, bytes_left in kept:
            with suppress(OSError, StopIteration):  # nothing yet, or cut off, as it should be
                connection.recv(1) if bytes_left is None else connection.send(next(bytes_left))
        sleep(1)
    for connection, _ in kept:
        connection.close()


def _client(address: str, source: str, headers: dict[str, str]) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=source)
    return httpx.Client(base_url=address, headers=headers, transport=transport, timeout=30)


def _is_free_again(processes: Sequence[psutil.Process]) -> None:
    """Wait until no connection is left of clients that have gone."""
    end = monotonic() + WAIT_SECONDS
    while left := [c for p in processes for c in p.net_connections("tcp") if c.raddr]:
        assert monotonic() < end, f"{len(left)} connections are left: {left[:3]}"
        sleep(0.5)


def _is_well(processes: Sequence[psutil.Process], before: list[int], log: Path) -> None:
    """Make sure that the same processes run, are not much larger, and have told of no error."""
    assert all(process.is_running() for process in processes)
    grown = [(p.memory_info().rss - b) / 2**20 for p, b in zip(processes, before, strict=True)]
    assert max(grown) < GROWTH_MB, f"a process has grown by {max(grown):.0f} MB"
    said = log.read_text(errors="replace")
    assert "Traceback" not in said, _tail(log)
    assert TOKEN not in said, "the log has the token"


def _tail(log: Path) -> str:
    """Return the last error that the server has told of."""
    said = log.read_text(errors="replace")
    return said[max(0, said.rfind("Traceback") - 500) :][:5000]


CLIENTS = Experiment(
    name="clients",
    claim="no answer of 500 and no wrong one; no connection, memory or token is lost",
    short=1,
    long=30,
    prepare=prepare,
)
