"""One slice through the tables of a store, as an asset run does it, without Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from otc_assets.calculations import output_tables
from otc_assets.domain.rules import rules_of
from otc_assets.domain.tables import RAW
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.operations.judge import judge
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.tracing import span
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

RUN = RunIds("a-benchmark", "a-benchmark")
TODAY = date(2026, 1, 1)


class Line:
    """A store, and the folder that it is filled from."""

    def __init__(self, url: str, folder: Path) -> None:
        """Fill the store at ``url`` from ``folder``, in which the archive is kept too."""
        self.warehouse = Warehouse(url)
        self.archive = Archive(str(folder / "archive"))
        self.folder = folder
        self.look_again()

    def look_again(self) -> None:
        """See the files that have come since."""
        self.index = FileSource(str(self.folder)).index(TODAY)

    def take_through(self, week: WeekKey, tables: list[str], *, checks: bool = False) -> None:
        """Take a slice in, compute ``tables``, and judge them as the checks do."""
        with _step(week, RAW.name):
            ingest(self.warehouse, self.archive, self.index, week, RUN, TODAY)
        for name in tables:
            with _step(week, name):
                derive(self.warehouse, name, week, RUN)
        for table in (RAW, *output_tables()) if checks else ():
            with _step(week, table.name):
                judge(self.warehouse, table, rules_of(table), week, RUN)


@contextmanager
def _step(week: WeekKey, table: str) -> Iterator[None]:
    """Open the spans that an asset or a check opens; they cost nothing unless a run is traced."""
    of_slice = {"tier": week.tier, "week": week.week_ending, "table": table}
    with span("step", step=table), span("slice", **of_slice):
        yield
