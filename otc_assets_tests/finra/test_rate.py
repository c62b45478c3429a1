"""No more requests than allowed, by the server's own log, whoever asks."""

import os
import subprocess
import sys
import threading

import pytest

from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.finra.conftest import most_in_a_second, quick
from otc_assets_tests.finra.faults import Fault

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


def test_the_processes_of_a_machine_share_a_rate(server, own_bucket):
    environment = {**os.environ, "TMPDIR": str(own_bucket)}
    command = [sys.executable, "-c", ASK, server.url, "10", "10"]
    processes = [subprocess.Popen(command, cwd=REPOSITORY, env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(server.requests) == 20
    assert most_in_a_second(server) <= 10


def test_repeated_attempts_count_as_requests(server, own_bucket):
    server.faults.at_random(0.5, seed=3, faults=[Fault.SERVER_ERROR, Fault.GATEWAY_TIMEOUT])
    client = quick(server, requests_per_second=20, attempts=10)
    for _ in range(12):
        client.partitions()
    assert len(server.requests) == 12 + len(server.faults.served)
    assert most_in_a_second(server) <= 20
