"""A name is in the store once, and every row that has it gives it back, whatever goes wrong."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.engine import write_transaction
from otc_assets.warehouse.names import NO_NAMES, NameBook
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets.warehouse.writer import RunIds
from otc_assets_tests.forked import exit_codes

WEEK = WeekKey(Tier.OTC, date(2025, 12, 26))
EARLIER = WEEK.shifted(-1)
RUN = RunIds("run", "backfill")
LINEAGE = {
    "source_revision": 1,
    "source": "files",
    "source_file": "a.csv",
    "source_sha256": "f00",
    "publication_date": date(2026, 1, 26),
    "revision_date": date(2026, 1, 26),
}
LONG = "".join(chr(0x100 + n * n % 1999) for n in range(9_000))
"""Does not compress well: PostgreSQL's indexes refuse texts like it."""
ODD = ["", " ", "NULL", "\\N", "\\.", 'say "when"', "O'Neil", "a,b|c", "naïve 🏛", "ﬀ", "ff", LONG]


def rows(issues: Sequence[str | None], venues: Sequence[str | None] | None = None) -> pd.DataFrame:
    """Return rows of raw with some names of issues, and of venues (default: none)."""
    count = len(issues)
    names = {"issue_name": list(issues), "venue_name": list(venues or [None] * count)}
    return pd.DataFrame(
        {
            "line_number": range(2, count + 2),
            "symbol": [f"S{n}" for n in range(count)],
            "mpid": "VENU",
            **{column: pd.array(texts, dtype="str") for column, texts in names.items()},
            "share_volume": MILLIONTHS,
            "trade_count": 1,
            "content_hash": [bytes(16)] * count,
            **dict.fromkeys(("product_type", "notional", "firm_crd", "last_reported_date")),
        }
    )


def write(store: Warehouse, frame: pd.DataFrame, week: WeekKey = WEEK) -> None:
    with store.write(week, RUN) as writer:
        writer.replace("raw", frame, LINEAGE)


def read(store: Store, week: WeekKey = WEEK, column: str = "issue_name") -> list[str | None]:
    """Return the names of a slice as the store gives them, and not as they were written."""
    with store.read() as reader:
        found = reader.frame("raw", week, [column], fresh=True)[column]
    return [None if pd.isna(name) else name for name in found]


def ask(store: Warehouse, query: str) -> list[object]:
    with store.engine.connect() as connection:
        return list(connection.exec_driver_sql(query).scalars())


def tell(store: Warehouse, *statements: str) -> None:
    with write_transaction(store.engine, "a test") as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


STORABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
"""Without NUL and unpaired surrogates, which `parse` rejects."""
NAME = st.none() | st.sampled_from(ODD) | st.text(STORABLE)


@example([None], [None])
@example([*ODD, None], [None, *ODD])
@example(["same", "same"], ["same", None])
@given(st.lists(NAME, min_size=1, max_size=8), st.lists(NAME, min_size=8, max_size=8))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_name_comes_back_as_it_was(
    warehouse: Warehouse, issues: list[str | None], venues: list[str | None]
):
    venues = [*venues, *[None] * len(issues)][: len(issues)]
    write(warehouse, rows(issues, venues))
    by_sql = ask(warehouse, "SELECT issue_name FROM raw ORDER BY line_number")
    assert read(warehouse) == by_sql == issues
    assert read(warehouse, column="venue_name") == venues
    unknowing = Store(warehouse.url)
    assert read(unknowing) == issues
    unknowing.close()


def test_a_name_is_there_once_however_many_rows_have_it(warehouse: Warehouse):
    write(warehouse, rows(["Acme"] * 50, ["Venue"] * 49 + ["Acme"]))
    write(warehouse, rows(["Acme", "ACME"]), EARLIER)
    assert sorted(map(str, ask(warehouse, "SELECT name FROM names"))) == ["ACME", "Acme", "Venue"]
    kinds = {type(number) for number in ask(warehouse, "SELECT issue_name FROM raw_rows")}
    assert kinds == {int}


def test_a_value_with_several_names_is_called_by_the_last_of_them(warehouse: Warehouse):
    """Their numbers are in another order."""
    write(warehouse, rows(["Z"]), EARLIER)
    frame = rows(["B", "A", None, "Z", None]).assign(symbol=["S", "S", "S", "T", "U"])
    write(warehouse, frame)
    with warehouse.write(WEEK, RUN) as writer:
        writer.save_manifest(
            status="loaded",
            stage="raw",
            row_counts={},
            source_revision=1,
            expected_publication_date=date(2026, 1, 26),
        )
        found = writer.raw_names(WEEK, "symbol", "issue_name")
    assert dict(found) == {"S": "B", "T": "Z", "U": None}


def fail_after_writing(store: Warehouse, frame: pd.DataFrame) -> None:
    with store.write(WEEK, RUN) as writer:
        writer.replace("raw", frame, LINEAGE)
        assert [str(name) for name in writer.frame("raw", WEEK, ["issue_name"])["issue_name"]]
        raise RuntimeError("the power fails")


def test_a_name_that_was_rolled_back_is_not_remembered(warehouse: Warehouse):
    """Its number is another name's by the time of the next attempt."""
    with pytest.raises(RuntimeError, match="the power fails"):
        fail_after_writing(warehouse, rows(["Lost", "Found"]))
    another = Warehouse(warehouse.url)
    write(another, rows(["Other", "Names", "Here"]), EARLIER)
    assert read(warehouse, EARLIER) == ["Other", "Names", "Here"]
    write(warehouse, rows(["Lost", "Found"]))
    assert read(warehouse) == read(another) == ["Lost", "Found"]
    another.close()


def be_killed(url: str) -> None:
    """Enter names, and die before they are there to stay."""
    store = Warehouse(url)

    @sa.event.listens_for(store.engine, "after_cursor_execute")
    def _die(*event: Any) -> None:
        if event[2].startswith("INSERT INTO names"):
            os.kill(os.getpid(), signal.SIGKILL)

    write(store, rows(["Lost", "Found"]))


def test_a_kill_leaves_no_name_behind(warehouse: Warehouse, database_url: str):
    assert warehouse.engine
    assert exit_codes(be_killed, (database_url,)) == [-signal.SIGKILL]
    assert ask(warehouse, "SELECT name FROM names") == []
    write(warehouse, rows(["Found", "Kept"]))
    assert read(warehouse) == ["Found", "Kept"]


def is_waiting(store: Warehouse) -> bool:
    locks = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
    return bool(ask(store, f"{locks} current_database()"))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("fails", [False, True])
def test_who_needs_a_name_that_another_is_entering_waits_and_has_it(postgres_url: str, fails: bool):
    first, second = Warehouse(postgres_url), Warehouse(postgres_url)
    write(first, rows([]))  # the partitions are there
    frames = {WEEK: rows(["A", "Shared", "Z"]), EARLIER: rows(["Shared", "B"])}
    late = threading.Thread(target=write, args=(second, frames[EARLIER], EARLIER))
    with first.engine.connect() as connection, connection.begin() as transaction:
        NameBook(connection, NO_NAMES).numbers([frames[WEEK]["issue_name"]])
        late.start()
        wait_for(lambda: is_waiting(first))
        if fails:
            transaction.rollback()
        else:
            transaction.commit()
    late.join()
    write(first, frames[WEEK])
    assert read(first) == read(second) == ["A", "Shared", "Z"]
    assert read(first, EARLIER) == ["Shared", "B"]
    assert len(ask(first, "SELECT name FROM names")) == 4
    first.close()
    second.close()


def enter_many(url: str, week: WeekKey, names: list[str]) -> None:
    store = Warehouse(url)
    for attempt in range(5):
        write(store, rows([f"{name} {attempt}" for name in names]), week)


def test_processes_that_enter_the_same_names_at_once_end_well(
    warehouse: Warehouse, database_url: str
):
    assert warehouse.engine
    write(warehouse, rows([]))
    names = [f"Issue {n}" for n in range(200)]
    calls = [(database_url, EARLIER, names), (database_url, WEEK, names[::-1])]
    assert exit_codes(enter_many, *calls) == [0, 0]
    expected = [f"{name} 4" for name in names]
    assert read(warehouse, EARLIER) == read(warehouse)[::-1] == expected
    assert ask(warehouse, "SELECT count(*) FROM names") == [1000]


def test_contents_of_a_slice_enter_their_names_at_once(warehouse: Warehouse):
    """One after the other, two slices could each have the name that the other one waits for."""
    entered: list[str] = []

    def note(*event: object) -> None:
        entered.append(str(event[2]))

    sa.event.listen(warehouse.engine, "after_cursor_execute", note)
    contents = [rows(["M", "N"]), rows(["A", "M"])]
    with warehouse.write(WEEK, RUN) as writer:
        writer.enter_names("raw", contents)
        for number, frame in enumerate(contents, 1):
            writer.replace(
                "raw", frame, LINEAGE | {"source_revision": number}, source_revision=number
            )
    assert len([each for each in entered if each.startswith("INSERT INTO names")]) == 1


def test_a_lower_number_may_come_later(postgres_url: str):
    """Its transaction has taken longer than that of a higher one."""
    slow, quick = Warehouse(postgres_url), Warehouse(postgres_url)
    write(quick, rows([]))
    with slow.engine.connect() as connection, connection.begin():
        NameBook(connection, NO_NAMES).numbers([pd.Series(["Slow"])])
        write(quick, rows(["Quick"]))
        assert read(quick) == ["Quick"]
    write(slow, rows(["Slow"]), EARLIER)
    assert read(quick, EARLIER) == ["Slow"]
    assert ask(quick, "SELECT name FROM names ORDER BY number") == ["Slow", "Quick"]
    slow.close()
    quick.close()


def test_names_of_a_store_that_was_restored_from_a_backup_are_read_anew(warehouse: Warehouse):
    """Numbers that were given since the backup now mean other names."""
    write(warehouse, rows(["Before", "Backup"]))
    tell(warehouse, "DELETE FROM raw_rows", "DELETE FROM lineage", "DELETE FROM names")
    if warehouse.engine.name == "postgresql":
        tell(warehouse, "ALTER SEQUENCE names_number_seq RESTART")
    another = Warehouse(warehouse.url)
    write(another, rows(["After", "Another"]))
    another.close()
    assert ask(warehouse, "SELECT max(number) FROM names") == [2]
    assert read(warehouse) == ["After", "Another"]


def test_a_number_without_a_name_is_null_as_in_the_view(warehouse: Warehouse):
    write(warehouse, rows(["A", "B"]))
    tell(warehouse, "UPDATE raw_rows SET issue_name = 77 WHERE line_number = 3")
    by_sql = ask(warehouse, "SELECT issue_name FROM raw ORDER BY line_number")
    assert read(warehouse) == by_sql == ["A", None]
