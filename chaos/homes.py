"""Homes with everything of their own, and Dagster's command in them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic

from benchmarks.entry import ROOT
from chaos.forked import dagster, start
from chaos.server import MIGRATED, Server

FIXTURES = ROOT / "fixtures"
RANGE = "NMS Tier 1|2025-05-23...NMS Tier 1|2025-05-30"
"""Two weeks, of which FINRA has corrected the first; both datasets have them."""
SELECTED = 'tag:grain=week and not key:"research_page" and not key:"venue_registry"'
"""Both are of all slices, and the page takes as long to draw as the tables take to write."""
TAIL = 3000
"""Characters of a log's end that are shown."""


@dataclass(frozen=True)
class Home:
    """A folder with source, store, archive, features and Dagster's own files."""

    folder: Path
    database_url: str
    dagster_url: str = ""
    """Where Dagster keeps its runs, if that is a server."""

    def __post_init__(self) -> None:
        """Make the folder, with the fixtures as the source."""
        for part in ("dagster_home", "home"):
            (self.folder / part).mkdir(parents=True)
        (self.path / "source").symlink_to(FIXTURES)
        kind = ROOT / "deploy" if self.dagster_url else ROOT
        shutil.copy(kind / "dagster.yaml", self.folder / "dagster_home")

    @property
    def path(self) -> Path:
        """The home."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        """What the commands have printed."""
        return self.folder / "log"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a shell that uses the home."""
        return os.environ | {
            "OTC_HOME": str(self.path),
            "OTC_DATABASE_URL": self.database_url,
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "DAGSTER_POSTGRES_URL": self.dagster_url,
        }

    def materialize(self) -> BaseProcess:
        """Start to materialize the range."""
        options = ["--select", SELECTED, "--partition-range", RANGE]
        command = ["asset", "materialize", "-m", "otc_assets.definitions", *options]
        return start(dagster, *command, log=self.log, environment=self.environment)

    def materialize_all(self) -> float:
        """Materialize the range to its end, and return the seconds that it took."""
        process, began = self.materialize(), monotonic()
        process.join()
        assert process.exitcode == 0, f"exit status {process.exitcode}: {self.tail()}"
        return monotonic() - began

    def tail(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-TAIL:]


@contextmanager
def home_on(
    backend: str, folder: Path, server: Server, *, is_shared: bool = False
) -> Iterator[Home]:
    """Make an empty home on ``sqlite`` or ``postgres``, and remove it at the end.

    With ``is_shared`` Dagster keeps its runs on the server too.
    """
    url, dagster, name = f"sqlite:///{folder / 'home' / 'otc.db'}", "", folder.name
    if backend == "postgres":
        url = server.database(name, MIGRATED)
    if is_shared:
        server.database(f"dagster_{name}")
        dagster = server.address(f"dagster_{name}", "psycopg2")
    yield Home(folder, url, dagster)
    shutil.rmtree(folder)
    server.drop(name)
    server.drop(f"dagster_{name}")
