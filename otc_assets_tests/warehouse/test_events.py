"""The stream of events: its order, what the database refuses, and how it is read."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.events import EventType
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.events import chain_query, select_events, uuid7
from otc_assets.warehouse.migrate import downgrade, migrate
from otc_assets.warehouse.schema import EVENT_LOG
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets.warehouse.writer import RunIds
from otc_assets_tests.conftest import database

WEEK = WeekKey(Tier.OTC, date(2025, 5, 16))
RUN = RunIds("run", "backfill")
NOTICED = EventType.CORRECTION_NOTICED


def tell(warehouse: Warehouse, week: WeekKey, *numbers: int) -> None:
    """Append a chain of events to a slice, in one transaction."""
    with warehouse.write(week, RUN) as writer:
        cause = None
        for number in numbers:
            cause = writer.events.append(NOTICED, {"n": number}, cause)


def stream(warehouse: Store) -> list[tuple[str, int]]:
    with warehouse.read() as reader:
        return [(e.aggregate_id, e.payload["n"]) for e in select_events(reader.connection)]


def test_both_datasets_have_one_order(database_url: str):
    stores = [Warehouse(database_url, dataset) for dataset in DATASETS]
    for number, store in enumerate([*stores, *stores]):
        tell(store, WEEK, number)
    assert stream(stores[1]) == [
        (f"{name} OTC:2025-05-16", number)
        for number, name in enumerate(["ats", "non_ats", "ats", "non_ats"])
    ]
    for store in stores:
        store.engine.dispose()


def test_an_event_says_what_of_what_by_whom_and_why(warehouse: Warehouse):
    tell(warehouse, WEEK, 1, 2)
    with warehouse.read() as reader:
        first, second = select_events(reader.connection)
    assert second.causation_id == first.event_id
    assert first.causation_id is None
    assert uuid.UUID(first.event_id).version == uuid.UUID(second.event_id).version == 7
    assert first.event_id < second.event_id
    assert second.correlation_id == "backfill"
    assert second.metadata.keys() == {"execution_id", "batch_id", "code"}
    assert second.metadata["execution_id"] == "run"


def test_an_id_begins_with_the_time():
    before = datetime.now(UTC).timestamp()
    ids = [uuid.UUID(uuid7()) for _ in range(1000)]
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert abs((ids[0].int >> 80) / 1000 - before) < 60
    assert len(set(ids)) == 1000


def test_what_is_said_again_is_not_told_again(warehouse: Warehouse):
    for n in (1, 1, 2, 2, 1):
        with warehouse.write(WEEK, RUN) as writer:
            writer.events.tell(NOTICED, {"n": n, "reason": object.__name__ + str(id(writer))}, None)
    assert [n for _, n in stream(warehouse)] == [1, 2, 1]


def test_a_transaction_that_fails_leaves_no_event(warehouse: Warehouse):
    def fail() -> None:
        with warehouse.write(WEEK, RUN) as writer:
            writer.events.append(NOTICED, {"n": 1}, None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stream(warehouse) == []


def test_who_sees_an_event_sees_all_before_it(postgres_url: str):
    """Transactions of many slices at once: a follower that remembers a sequence misses none."""
    stores = [Warehouse(postgres_url) for _ in range(4)]
    reader, seen, done = Store(postgres_url), [], threading.Event()

    def write(at: int) -> None:
        for number in range(12):
            tell(stores[at], WEEK.shifted(at), number, number)

    def follow() -> None:
        while True:
            is_last = done.is_set()
            after = EVENT_LOG.c.sequence > (seen[-1] if seen else 0)
            with reader.read() as each:
                seen.extend(event.sequence for event in select_events(each.connection, after))
            if is_last:
                return

    writers = [threading.Thread(target=write, args=[at]) for at in range(len(stores))]
    follower = threading.Thread(target=follow)
    for thread in (follower, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    follower.join()
    assert len(seen) == len(set(seen)) == 4 * 12 * 2
    for store in (*stores, reader):
        store.engine.dispose()


REFUSED = [
    "UPDATE events SET payload = '{}'",
    "UPDATE events SET causation_id = NULL WHERE sequence = 1",
    "DELETE FROM events",
    "DELETE FROM events WHERE sequence = 1",
]
BY_INSERT = (
    "INTO events SELECT sequence, event_id, 'LIE', aggregate_type, aggregate_id, payload, "
    "metadata, correlation_id, causation_id, created_at FROM events"
)
REFUSED_IN = {
    "sqlite": [f"INSERT OR REPLACE {BY_INSERT}", f"REPLACE {BY_INSERT}"],
    "postgresql": [
        "TRUNCATE events",
        f"INSERT {BY_INSERT} ON CONFLICT (sequence) DO UPDATE SET event_type = 'LIE'",
    ],
}


def test_the_database_itself_refuses_to_change_the_past(warehouse: Warehouse):
    tell(warehouse, WEEK, 1, 2)
    for statement in REFUSED + REFUSED_IN[warehouse.engine.dialect.name]:
        with (
            pytest.raises(sa.exc.DatabaseError, match="events are only ever appended"),
            warehouse.engine.connect().execution_options(otc_writes=True) as connection,
            connection.begin(),
        ):
            connection.exec_driver_sql(statement)
    assert [n for _, n in stream(warehouse)] == [1, 2]


WEEKS = [WEEK.shifted(n) for n in range(60)]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def grown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Six thousand events of sixty slices and two hundred files: chains of thirty."""
    place = nullcontext(f"sqlite:///{tmp_path_factory.mktemp('grown') / 'otc.db'}")
    if request.param == "postgres":
        place = database(request.getfixturevalue("postgres_server"))
    with place as url:
        store = Warehouse(url)
        _grow(store)
        yield store
        store.engine.dispose()


def _grow(store: Warehouse) -> None:
    records = []
    for number in range(6000):
        ids = [str(uuid.UUID(int=(7 << 76) + n)) for n in (number, number - 1)]
        is_file = number % 30 == 0
        records.append(
            {
                "event_id": ids[0],
                "event_type": list(EventType)[number % len(EventType)].value,
                "aggregate_type": "file" if is_file else "slice",
                "aggregate_id": f"{number:064x}" if is_file else f"ats {WEEKS[number // 100]}",
                "payload": {"table": "venue_volume", "status": "written"},
                "metadata": {},
                "correlation_id": "backfill",
                "causation_id": None if is_file else ids[1],
                "created_at": datetime.fromtimestamp(1_750_000_000 + 60 * number, UTC),
            }
        )
    with store.engine.connect().execution_options(otc_writes=True) as connection:
        with connection.begin():
            connection.execute(sa.insert(EVENT_LOG), records)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE events")
            connection.commit()


def plan(store: Warehouse, query: sa.Select) -> str:
    """Return how the database would do a query."""
    sql = str(query.compile(store.engine, compile_kwargs={"literal_binds": True}))
    is_sqlite = store.engine.dialect.name == "sqlite"
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{sql}")
        return "\n".join(str(row[-1]) for row in rows)


def queries() -> dict[str, tuple[sa.Select, str]]:
    """Return the questions that are asked of events, and the index that each must use."""
    c, event_id = EVENT_LOG.c, str(uuid.UUID(int=(7 << 76) + 3015))
    whole, middle = sa.select(EVENT_LOG), datetime.fromtimestamp(1_750_180_000, UTC)
    ids = [f"ats {week}" for week in WEEKS[20:26]]
    of_slice = sa.and_(c.aggregate_type == "slice", c.aggregate_id == ids[0])
    of_window = sa.and_(c.aggregate_type == "slice", c.aggregate_id.in_(ids))
    by_type = sa.and_(
        c.event_type == "FILE_DOWNLOADED",
        c.created_at.between(middle, datetime.fromtimestamp(1_750_190_000, UTC)),
    )
    aggregate = "ix_events_aggregate_type_aggregate_id_sequence"
    return {
        "of a slice": (whole.where(of_slice).order_by(c.sequence), aggregate),
        "of a window": (sa.select(c.sequence, c.event_id).where(of_window), aggregate),
        "by type and time": (whole.where(by_type), "ix_events_event_type_created_at"),
        "its causes": (chain_query(event_id, up=True), "ix_events_event_id"),
        "what it caused": (chain_query(event_id, up=False), "ix_events_causation_id"),
    }


@pytest.mark.parametrize("question", queries())
def test_every_question_uses_an_index(grown: Warehouse, question: str):
    query, index = queries()[question]
    done = plan(grown, query)
    assert index in done, done
    assert "SCAN events" not in done, done
    assert "Seq Scan on events" not in done, done


def test_a_chain_goes_up_to_the_first_cause_and_down_to_the_last_effect(grown: Warehouse):
    event_id = str(uuid.UUID(int=(7 << 76) + 3015))
    found = []
    with grown.engine.connect() as connection:
        for up in (True, False):
            rows = connection.execute(chain_query(event_id, up=up))
            found.append([(row.sequence, row.depth) for row in rows])
    assert found[0] == [(3016 - n, n) for n in range(15, -1, -1)]
    assert found[1] == [(3016 + n, n) for n in range(15)]


def test_the_maintenance_of_a_store_still_works(warehouse: Warehouse):
    tell(warehouse, WEEK, 1, 2)
    downgrade(warehouse.engine, "0004")
    migrate(warehouse.engine, ATS)
    assert [n for _, n in stream(warehouse)] == [1, 2]
    downgrade(warehouse.engine, "base")
