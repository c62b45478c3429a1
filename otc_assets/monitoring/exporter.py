"""The exporter: what Prometheus scrapes, or what is pushed where nobody scrapes."""

import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.metadata import version

import dagster as dg
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, push_to_gateway, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from upath import UPath

from otc_assets.automation.storage import InstanceError, instance_that_is_set
from otc_assets.domain.datasets import ATS, every_dataset
from otc_assets.monitoring.catalog import Samples
from otc_assets.monitoring.instance import collect_instance
from otc_assets.monitoring.standing import (
    collect_archive,
    collect_slices,
    collect_store,
    file_number,
    schema_revision,
)
from otc_assets.monitoring.stream import Stream
from otc_assets.operations.recall import store_to_read
from otc_assets.settings import project, setting
from otc_assets.warehouse.engine import StoreError

ARCHIVE_WAIT_SECONDS = 1
JOB = "otc_assets"
"""What pushed metrics are grouped by."""

log = logging.getLogger(__name__)


UNREADABLE = (
    StoreError,
    InstanceError,
    sa.exc.DBAPIError,
    dg.DagsterError,
    OSError,
    ValueError,
)
"""What may come of reading a part; the scrape tells of the others."""


class Exporter(Collector):
    """The metrics of the home that is set, read anew for each scrape."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._stream = Stream()
        self._instance: dg.DagsterInstance | None = None
        self._stores = {dataset: store_to_read(dataset) for dataset in every_dataset()}
        self._in_use = [dataset for dataset in self._stores if dataset.is_expected]
        """The datasets that the store has, as it was last read."""
        self._commit, self._schema, self._file = _commit(), "", 0
        self._asking: Future[Samples] | None = None
        """What the archive is being asked, which may be far away, or out of reach."""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="archive")
        self._turn = threading.Lock()
        self._said: dict[str, str] = {}
        """What is wrong with each part, which the log tells once."""

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that can be read now."""
        with self._turn:
            samples = Samples()
            for part, read in (
                ("store", self._read_store),
                ("archive", self._read_archive),
                ("dagster", self._read_instance),
            ):
                found = self._try(part, read)
                samples.add("otc_readable", found is not None, part)
                yield from found or ()
            build = version("otc_assets"), self._commit, self._schema
            samples.add("otc_build_info", 1, *build)
        yield from samples

    def _try(self, part: str, read: Callable[[], Samples]) -> Samples | None:
        """Read a part; say in the log once if it cannot be read, and once when it can again."""
        try:
            found = read()
        except UNREADABLE as error:
            if self._said.get(part) != str(error):
                log.error("the %s cannot be read: %s", part, error)
            self._said[part] = str(error)
            return None
        if self._said.pop(part, None):
            log.warning("the %s can be read again", part)
        return found

    def _read_store(self) -> Samples:
        samples = Samples()
        try:
            first = self._stores[ATS]
            known = self._schema, self._file
            self._schema, self._file = schema_revision(first), file_number(first)
            if known != (self._schema, self._file):  # migrated, or another file in its place
                self._close()
            self._in_use = [
                dataset for dataset, store in self._stores.items() if collect_slices(store, samples)
            ]
            collect_store(first, samples)
            self._stream.collect(first, samples)
        except UNREADABLE:
            self._close()
            raise
        return samples

    def _close(self) -> None:
        """Let the stores be opened anew, and their schema be looked at again."""
        for store in self._stores.values():
            store.close()

    def _read_archive(self) -> Samples:
        """Ask the archive, and do not wait long: its answer may be for the next scrape."""
        self._asking = self._asking or self._threads.submit(_ask_archive)
        asked = self._asking
        wait([asked], ARCHIVE_WAIT_SECONDS)
        if not asked.done():
            raise TimeoutError(f"no answer in {ARCHIVE_WAIT_SECONDS} s")
        self._asking = None
        return asked.result()

    def _read_instance(self) -> Samples:
        samples = Samples()
        try:
            self._instance = self._instance or instance_that_is_set()
            collect_instance(self._instance, samples, self._in_use)
        except UNREADABLE:
            self._instance = None  # perhaps it is another one the next time
            raise
        return samples


def serve(address: str, port: int) -> tuple[str, threading.Thread]:
    """Answer scrapes until the process ends; return where, and the thread that does it.

    Port 0 is any that is free.

    Raises:
        OSError: the port cannot be had.

    """
    server, thread = start_http_server(port, address, registry())
    return f"http://{address}:{server.server_port}/metrics", thread


def push(gateway: str) -> None:
    """Send all metrics to a Prometheus Pushgateway, in place of those that it has of us.

    Raises:
        OSError: it did not take them.

    """
    push_to_gateway(gateway, JOB, registry())


def registry() -> CollectorRegistry:
    """Return the exporter in a registry of its own, having read all events once."""
    made = CollectorRegistry()
    made.register(Exporter())  # which collects once
    return made


def _ask_archive() -> Samples:
    samples = Samples()
    collect_archive(UPath(setting("OTC_ARCHIVE_URL")), samples)
    return samples


def _commit() -> str:
    """Return the commit of a checkout, shortened; nothing of an installed package."""
    command = ["git", "-C", str(project()), "rev-parse", "--short=12", "HEAD"]
    if not (project() / ".git").exists():
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
