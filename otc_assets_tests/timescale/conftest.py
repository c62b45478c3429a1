"""TimescaleDB for the tests, and a home on it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.operations import verify as verification
from otc_assets.operations.findings import Finding
from otc_assets.operations.recall import Recall
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import WeekKey

SERVER = Path(__file__).parent / "server.mjs"
CORRECTION = "finra_otc_weekly_tier1_20250609_corrected_20250716.csv"
EXTENSION = "CREATE EXTENSION timescaledb"


@pytest.fixture(scope="session", autouse=True)
def _no_connection_stays_open() -> Iterator[None]:
    """Let engines keep none for later: the server has room for one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa, "create_engine", partial(sa.create_engine, poolclass=sa.NullPool))
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a new server's database, which has no extension yet."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["node", SERVER], text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, "the server did not start"
            yield f"postgresql+psycopg://postgres:any@127.0.0.1:{port}/postgres?sslmode=disable"
        finally:
            process.kill()


@dataclass
class Home:
    """A store with its archive and its source, which lacks a correction at first."""

    url: str
    folder: Path

    def __post_init__(self) -> None:
        """Copy the fixtures."""
        shutil.copytree(FIXTURES, self.source)
        (self.source / CORRECTION).unlink()

    @property
    def source(self) -> Path:
        return self.folder / "source"

    def store(self, dataset: Dataset = ATS) -> Warehouse:
        """Open the store anew, so that nothing is remembered."""
        return Warehouse(self.url, dataset, Recall(str(self.folder / "archive")))

    def run(self, slices: list[WeekKey], dataset: Dataset = ATS) -> None:
        pipeline.run(self.store(dataset), self.source, self.folder / "archive", slices)

    def correct(self, week: WeekKey) -> None:
        """Let FINRA's correction arrive."""
        corrected = shutil.copytree(self.source, self.folder / "corrected")
        shutil.copy(FIXTURES / CORRECTION, corrected)
        pipeline.run(self.store(), corrected, self.folder / "archive", [week])

    def content(self) -> str:
        return pipeline.content(self.store())

    def findings(self, slices: list[WeekKey]) -> list[Finding]:
        """Verify slices."""
        archive = Archive(str(self.folder / "archive"), ATS)
        found = verification.verify(self.store(), archive, slices)
        return [finding for each in found for finding in each.findings]

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Connect as an administrator does, who sees the schema of the extension too."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("SET search_path TO otc, public")
            yield connection

    def ask(self, query: str) -> list[Any]:
        """Return the rows of a query, or the values where it has one column."""
        with self.connected() as connection:
            rows = connection.exec_driver_sql(query).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def tell(self, *statements: str) -> None:
        with self.connected() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def run_jobs(self, kind: str) -> None:
        """Run TimescaleDB's jobs of a kind, which here do not run by themselves."""
        jobs = self.ask(
            f"SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = '{kind}'"
        )
        self.tell(*(f"CALL run_job({job})" for job in sorted(jobs)))
