"""P3 and P4: writing venue_volume of a week, against the driver's own bulk path alone."""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from benchmarks.entry import run
from benchmarks.measure import TURNS, Figures, pairs_of
from benchmarks.pipeline import RUN, TODAY
from benchmarks.server import postgres
from benchmarks.weeks import ROWS, week_number, write_week
from otc_assets.domain.datasets import ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.engine import write_transaction
from otc_assets.warehouse.schema import rows_table
from otc_assets.warehouse.store import Warehouse

WEEK = week_number(Tier.NMS_TIER_1, 0)
LEAST_PART_OF_THE_RATE = 0.8


def main(figures: Figures) -> None:
    """Measure both databases."""
    with tempfile.TemporaryDirectory() as temporary:
        url = f"sqlite:///{temporary}/otc.db"
        measure(figures, "P3 bulk write, SQLite", url, _executemany)
    with postgres() as server:
        measure(figures, "P4 bulk write, PostgreSQL", server.database("otc"), _copy)


def measure(figures: Figures, name: str, url: str, bare: Callable[[Any, Any, Any], None]) -> None:
    """Print the rate of `SliceWriter.replace` beside that of ``bare`` into the same table."""
    warehouse, frame = Warehouse(url), _prepared(url)
    target = rows_table("venue_volume", ATS)
    lineage = {"as_of_date": TODAY, "source_revision": 1}
    with warehouse.engine.connect() as connection:
        stored = connection.execute(sa.select(target)).cursor.fetchall()
    times: list[tuple[float, float]] = []
    for _ in range(TURNS):
        bare_time = _bare(warehouse, WEEK, stored, bare)
        started = time.perf_counter()
        with warehouse.write(WEEK, RUN) as writer:
            writer.replace("venue_volume", frame, lineage)
        times.append((bare_time, time.perf_counter() - started))
    found, rows = pairs_of(times), ROWS[Tier.NMS_TIER_1]
    part = 1 / found.ratio
    said = f"{rows / found.ours:,.0f} rows/s, {part:.0%} of the bare rate: {found}"
    figures.show(name, said, part, LEAST_PART_OF_THE_RATE, at_least=True)
    warehouse.engine.dispose()


def _prepared(url: str) -> pd.DataFrame:
    """Take a week in, and return the rows that venue_volume then has."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, warehouse = Path(temporary), Warehouse(url)
        write_week(folder, WEEK)
        index = FileSource(temporary).index(TODAY)
        ingest(warehouse, Archive(str(folder / "archive")), index, WEEK, RUN, TODAY)
        return derive(warehouse, "venue_volume", WEEK, RUN).rows


def _bare(warehouse: Warehouse, week: WeekKey, rows: list[Any], write: Any) -> float:
    """Return the seconds of a delete and a bare bulk insert of ready rows, in one transaction."""
    target = rows_table("venue_volume", ATS)
    ready = _as_csv(rows) if warehouse.engine.dialect.name == "postgresql" else rows
    started = time.perf_counter()
    with write_transaction(warehouse.engine, "a benchmark") as connection:
        connection.execute(sa.delete(target).where(target.c.slice == week.number))
        write(connection.connection.driver_connection, target, ready)
    return time.perf_counter() - started


def _as_csv(rows: list[Any]) -> str:
    buffer = io.StringIO()
    frame = pd.DataFrame(rows)
    for column in frame:
        if isinstance(frame[column].iloc[0], bytes):
            frame[column] = [rf"\x{value.hex()}" for value in frame[column]]
    frame.to_csv(buffer, header=False, index=False)
    return buffer.getvalue()


def _executemany(driver: Any, target: sa.Table, rows: list[Any]) -> None:
    marks = ", ".join("?" * len(target.columns))
    driver.executemany(f"INSERT INTO {target.name} ({_names(target)}) VALUES ({marks})", rows)


def _copy(driver: Any, target: sa.Table, text: str) -> None:
    statement = f"COPY {target.name} ({_names(target)}) FROM STDIN CSV"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text)


def _names(target: sa.Table) -> str:
    return ", ".join(target.columns.keys())


if __name__ == "__main__":
    run(main)
