"""No more requests than allowed, by the server's own log, whoever asks."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from otc_assets.sources.errors import SourceError
from otc_assets.sources.finra_client import FinraClient
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.finra.conftest import most_in_a_second, quick
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import FinraServer

ASK = """
import sys
from otc_assets.sources.finra_client import FinraClient
client = FinraClient(sys.argv[1], requests_per_second=float(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    client.partitions()
"""


@pytest.mark.parametrize(("rate", "requests"), [(20, 22), (5, 7)])
def test_a_client_keeps_to_its_rate(server, own_bucket, rate, requests):
    client = quick(server, requests_per_second=rate)
    for _ in range(requests):
        client.partitions()
    assert len(server.requests) == requests
    assert most_in_a_second(server) <= rate


def test_the_threads_of_a_process_share_a_rate(server, own_bucket):
    def ask():
        client = quick(server, requests_per_second=10)
        for _ in range(7):
            client.partitions()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 21
    assert most_in_a_second(server) <= 10


def ask_together(server: FinraServer, machines: list[dict[str, str]]) -> None:
    """Let each process ask ten times, at a rate of ten a second."""
    command = [sys.executable, "-c", ASK, server.url, "10", "10"]
    processes = [
        subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | machine) for machine in machines
    ]
    assert [process.wait() for process in processes] == [0] * len(machines)
    assert len(server.requests) == 10 * len(machines)
    assert most_in_a_second(server) <= 10


def test_the_processes_of_a_user_share_a_rate(server, tmp_path: Path):
    ask_together(server, [{"XDG_CACHE_HOME": str(tmp_path)}] * 2)
    assert (tmp_path / "otc_assets").stat().st_mode & 0o777 == 0o700


def test_machines_behind_one_address_share_a_rate(server, postgres_url: str, tmp_path: Path):
    ask_together(
        server,
        [
            {
                "OTC_RATE_LIMIT_URL": postgres_url,
                "OTC_HOME": str(tmp_path / machine),
                "XDG_CACHE_HOME": str(tmp_path / machine),
            }
            for machine in ("one", "one", "another", "another")
        ],
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql+psycopg://otc:hidden@127.0.0.1:1/otc", "cannot be counted there: connection"),
        ("redis://:hidden@127.0.0.1", "is neither a file nor postgresql"),
        ("/proc/no/such/folder/file", "cannot be counted there: "),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused_by_its_setting(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_RATE_LIMIT_URL", address)
    with pytest.raises(SourceError, match=f"OTC_RATE_LIMIT_URL.*{reason}") as refused:
        FinraClient()
    assert "hidden" not in str(refused.value)


def test_repeated_attempts_count_as_requests(server, own_bucket):
    server.faults.at_random(0.5, seed=3, faults=[Fault.SERVER_ERROR, Fault.GATEWAY_TIMEOUT])
    client = quick(server, requests_per_second=20, attempts=10)
    for _ in range(12):
        client.partitions()
    assert len(server.requests) == 12 + len(server.faults.served)
    assert most_in_a_second(server) <= 20
