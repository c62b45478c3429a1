"""`otc metrics` as a process, scraped, killed and started again; and what it pushes."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from otc_assets.cli.main import otc
from otc_assets.domain.datasets import ATS
from otc_assets.settings import DEFAULTS
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.cli.conftest import OTC
from otc_assets_tests.monitoring.conftest import only
from otc_assets_tests.monitoring.test_exporter import values


@contextmanager
def exporter(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the command on any free port, and kill it at the end."""
    environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS}
    environment |= {"OTC_HOME": str(home), "DAGSTER_HOME": ""}
    process = subprocess.Popen(
        [OTC, "metrics", "--port", "0"], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield _address(process), process
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    for line in process.stderr or ():
        if re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", line.strip()):
            return line.strip()
    raise AssertionError("the command has ended")


def test_the_first_scrape_after_a_kill_is_right(filled_home: Path):
    with exporter(filled_home) as (url, process):
        before = httpx.get(url, timeout=30).text
        process.kill()
    with exporter(filled_home) as (url, _):
        after = httpx.get(url, timeout=30).text
    with Warehouse(f"sqlite:///{filled_home / 'otc.db'}", ATS).read() as reader:
        weeks = [week for week in reader.loaded_slices() if week.tier == "OTC"]
    name = "otc_weeks_ingested_total"
    assert values(before, name) == values(after, name)
    assert values(after, name)["ats", "OTC"] == len(weeks) == 2


class Gateway(HTTPServer):
    """Takes what is pushed, or refuses it."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.status, self.taken = status, dict[str, str]()


class Receiver(BaseHTTPRequestHandler):
    server: Gateway

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.taken[self.path] = body
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("status", [200, 503])
def test_metrics_are_pushed_to_a_gateway_or_it_is_said_that_it_took_none(
    filled_home: Path, status: int
):
    gateway = Gateway(status)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    with only(OTC_HOME=str(filled_home)):
        url = f"http://127.0.0.1:{gateway.server_port}"
        done = CliRunner().invoke(otc, ["metrics", "--push", url])
    gateway.shutdown()
    gateway.server_close()
    (path,) = gateway.taken
    assert path == "/metrics/job/otc_assets"
    assert values(gateway.taken[path], "otc_weeks_ingested_total")["ats", "OTC"] == 2
    assert done.exit_code == (0 if status == 200 else 2)
    assert "Service Unavailable" in done.stderr or status == 200
