"""The schema comes up by itself, on both databases, and goes down again."""

import shutil
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from otc_assets.calculations import derived_tables_of, output_tables
from otc_assets.domain.datasets import ATS, DATASETS, EVERY_DATASET, Dataset
from otc_assets.domain.tables import RAW, STORE_TABLES
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse import migrate as migrations
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.events import select_events
from otc_assets.warehouse.migrate import downgrade, migrate
from otc_assets.warehouse.schema import STORE, bulk_tables, metadata, sql_table, views
from otc_assets.warehouse.store import Warehouse

pytestmark = pytest.mark.unmigrated
each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


@pytest.mark.parametrize("dataset", EVERY_DATASET, ids=lambda dataset: dataset.name)
def test_first_use_creates_every_table(database_url: str, dataset: Dataset):
    engine = Warehouse(database_url, dataset).engine
    assert set(metadata(dataset).tables) <= tables(engine)
    engine.dispose()


def test_the_tables_of_the_datasets_are_the_same_under_other_names():
    plain = {table.name for table in (*STORE_TABLES, *output_tables())}
    bulk = {table.name for table in bulk_tables()}
    stored = plain - bulk | {f"{name}_rows" for name in bulk}
    assert set(metadata(ATS).tables) == stored
    shown = bulk | {"research_latest"}
    assert set(views(ATS)) == shown
    for dataset in DATASETS[1:]:
        assert set(metadata(dataset).tables) == {f"{dataset.prefix}_{name}" for name in stored}
        assert set(views(dataset)) == {f"{dataset.prefix}_{name}" for name in shown}


def test_migrations_alone_give_the_described_schema(database_url: str):
    engine = create_engine(database_url)
    migrate(engine, ATS, "heads")  # without what create_all would add
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(
            context, [STORE.metadata, *(metadata(dataset) for dataset in EVERY_DATASET)]
        )
    # from the description, if it is new
    created = {
        dataset.table_name(f"{table.name}_rows")
        for dataset in EVERY_DATASET
        for table in derived_tables_of(dataset)
    }
    added = {"add_table": lambda table: table.name, "add_index": lambda index: index.table.name}
    assert [d for d in differences if d[0] not in added or added[d[0]](d[1]) not in created] == []
    engine.dispose()


def test_down_to_nothing_and_up_again(warehouse: Warehouse):
    downgrade(warehouse.engine, "base")
    assert tables(warehouse.engine) <= {"alembic_version"}
    for dataset in EVERY_DATASET:
        migrate(warehouse.engine, dataset)
        assert set(metadata(dataset).tables) <= tables(warehouse.engine)


WEEK_ENDING, AT = date(2025, 12, 26), datetime(2026, 1, 27, 12, tzinfo=UTC)
VALUES = {
    sa.Text: "text",
    sa.Date: WEEK_ENDING,
    sa.BigInteger: 2,
    sa.Integer: 1,
    sa.Numeric: 1.5,
    sa.Double: 2.5,
    sa.LargeBinary: b"h" * 16,
    sa.Boolean: True,
    sa.DateTime: AT,
}


def one_row(engine: sa.Engine, name: str, **differs: object) -> None:
    """Insert a row with any value of the right type in each column."""
    target = sa.Table(name, sa.MetaData(), autoload_with=engine)
    row = {
        column.name: next(v for kind, v in VALUES.items() if isinstance(column.type, kind))
        for column in target.columns
    }
    if "tier" in row:
        row["tier"] = "OTC"
    with engine.begin() as connection:
        connection.execute(target.insert().values({**row, **differs}))


def old_partitions(engine: sa.Engine, *names: str) -> None:
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for name in names:
                connection.exec_driver_sql(
                    f"CREATE TABLE {name}_y2025 PARTITION OF {name} "
                    "FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
                )


def all_rows(engine: sa.Engine, name: str) -> list[dict[str, object]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(sql_table(name, ATS))).mappings()
        return sorted((dict(row) for row in rows), key=repr)


def stored_rows(engine: sa.Engine, name: str) -> list[dict[str, object]]:
    """Return what a table has, in the order of its key."""
    table = sa.Table(name, sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in rows]


def column(engine: sa.Engine, table: str, name: str) -> list[object]:
    return [row[name] for row in stored_rows(engine, table)]


def test_the_rows_of_the_first_version_stay_and_lack_what_it_did_not_know(database_url: str):
    engine = create_engine(database_url)
    migrate(engine, ATS, "0001")
    old_partitions(engine, "raw")
    new = ("notional", "firm_crd", "last_reported_date")
    raw = sa.Table("raw", sa.MetaData(), autoload_with=engine)
    assert {c.name for c in raw.columns} == {c.name for c in RAW.columns} - set(new)
    one_row(engine, "raw")
    migrate(engine)
    (kept,) = all_rows(engine, "raw")
    assert {name: kept[name] for name in new} == dict.fromkeys(new)
    assert (kept["symbol"], kept["trade_count"], kept["share_volume"]) == ("text", 2, 1.5)
    engine.dispose()


def test_rows_and_their_lineage_part_and_come_together_again(database_url: str):
    """Rows of the second version, of several writes, days and versions, lose nothing."""
    engine = create_engine(database_url)
    migrate(engine, ATS, "0002")
    bulk = [table.name for table in bulk_tables()]
    old_partitions(engine, *(name for name in bulk if name != "rejects"))
    for name in bulk:
        one_row(engine, name)
        one_row(engine, name, tier="NMS Tier 1", batch_id="another")
    one_row(engine, "raw", line_number=3)
    one_row(engine, "raw", source_revision=3, batch_id="a correction", revision_date=AT.date())
    one_row(engine, "concentration", calc_version="v2")
    one_row(engine, "research_snapshot", as_of_date=AT.date(), source_revision=3)
    before = {name: all_rows(engine, name) for name in bulk}
    several = {"raw": 4, "concentration": 3, "research_snapshot": 3}
    assert {n: len(rows) for n, rows in before.items()} == dict.fromkeys(bulk, 2) | several
    migrate(engine)
    assert {name: all_rows(engine, name) for name in bulk} == before
    with Warehouse(database_url).read() as reader:
        (stored,) = reader.records("lineage", WeekKey(Tier.NMS_TIER_1, WEEK_ENDING))[:1]
        frame = reader.frame("raw", WeekKey(Tier.OTC, WEEK_ENDING), source_revision=2)
    assert stored["slice"] == WeekKey(Tier.NMS_TIER_1, WEEK_ENDING).number
    assert frame["line_number"].tolist() == [2, 3]
    downgrade(engine, "0002")
    assert {name: all_rows(engine, name) for name in bulk} == before
    engine.dispose()


def test_names_become_numbers_and_texts_again(database_url: str):
    """Of each dataset that has names, with rows of two years; no name is lost or told apart."""
    engine = create_engine(database_url)
    migrate(engine, ATS, "0011")
    prefixes = ("", "non_ats_", "monthly_non_ats_", "ats_blocks_")
    names = ["Acme", "", None, "ÀCME 🏛", "Acme", 'say "when"', "x" * 9_000]
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for prefix, year in product(prefixes, (2024, 2025)):
                connection.exec_driver_sql(
                    f"CREATE TABLE {prefix}raw_rows_y{year} PARTITION OF {prefix}raw_rows "
                    f"FOR VALUES FROM ({year}00000) TO ({year + 1}00000)"
                )
    for prefix, number, (line, name) in product(prefixes, (202401053, 202512263), enumerate(names)):
        row = {"slice": number, "line_number": line, "venue_name": name}
        if prefix != "ats_blocks_":
            row["issue_name"] = name
        one_row(engine, f"{prefix}raw_rows", **row)
    before = {prefix: stored_rows(engine, f"{prefix}raw_rows") for prefix in prefixes}
    migrate(engine)
    assert sorted(map(str, column(engine, "names", "name"))) == sorted({*names} - {None})
    numbers = column(engine, "raw_rows", "issue_name")
    assert {type(number) for number in numbers} == {int, type(None)}
    if engine.dialect.name == "postgresql":
        years = {f"{prefix}raw_rows_y{year}" for prefix, year in product(prefixes, (2024, 2025))}
        assert years <= tables(engine)
    downgrade(engine, "0011")
    assert {prefix: stored_rows(engine, f"{prefix}raw_rows") for prefix in prefixes} == before
    assert not {name for name in tables(engine) if name == "names" or name.endswith("_old")}
    engine.dispose()


OLD_EVENT = {
    "week_ending": WEEK_ENDING,
    "tier": "OTC",
    "causation_id": None,
    "execution_id": "run",
    "batch_id": "batch",
    "correlation_id": "backfill",
    "created_at": AT,
}


def old_events(engine: sa.Engine, name: str) -> list[dict[str, object]]:
    table = sa.Table(name, sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.event_number)).mappings()
        return [dict(row) for row in rows]


def test_the_events_of_both_datasets_become_one_stream_and_part_again(database_url: str):
    engine = create_engine(database_url)
    migrate(engine, ATS, "0004")
    first, then, last = (AT + timedelta(minutes=n) for n in range(3))
    file = {"source_sha256": "f00", "source_bytes": 7}
    written = {"calculation": "concentration", "versions": "v1,v2", "rows": "9"}
    streams = {
        "events": [
            {"event_id": "a", "event_type": "FILE_DOWNLOADED", "payload": file},
            {
                "event_id": "b",
                "event_type": "RAW_RECORDS_INGESTED",
                "payload": {"rows": 1, "source_revision": 1},
                "causation_id": "a",
                "created_at": last,
            },
            {  # the clock was set back
                "event_id": "c",
                "event_type": "CALCULATION_COMPLETED",
                "payload": written,
                "causation_id": "b",
                "created_at": first,
            },
        ],
        "non_ats_events": [
            {
                "event_id": "d",
                "event_type": "CORRECTION_NOTICED",
                "payload": {},
                "created_at": then,
            },
        ],
    }
    for name, events in streams.items():
        table = sa.Table(name, sa.MetaData(), autoload_with=engine)
        with engine.begin() as connection:
            connection.execute(table.insert(), [OLD_EVENT | event for event in events])
    before = {name: old_events(engine, name) for name in streams}
    migrate(engine)
    with engine.connect() as connection:
        stream = select_events(connection)
    assert [(e.sequence, e.event_id, e.causation_id) for e in stream] == [
        (1, "a", None),
        (2, "d", None),
        (3, "b", "a"),
        (4, "c", "b"),
    ]
    assert [(e.aggregate_type, e.aggregate_id) for e in stream] == [
        ("file", "f00"),
        ("slice", "non_ats OTC:2025-12-26"),
        ("slice", "ats OTC:2025-12-26"),
        ("slice", "ats OTC:2025-12-26"),
    ]
    assert stream[0].metadata == {"execution_id": "run", "batch_id": "batch"}
    assert stream[3].payload == written | {"table": "concentration", "status": "written"}
    assert not tables(engine) & {"non_ats_events"}

    downgrade(engine, "0004")
    for name, events in before.items():
        for old, again in zip(events, old_events(engine, name), strict=True):
            assert again | {"payload": again["payload"] | old["payload"]} == again
            assert again | {"payload": old["payload"]} == old
    engine.dispose()


@pytest.fixture
def migrations_of_a_further_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Dataset, Path]:
    """A dataset that no migration knows of yet, and a copy of the migrations to write it in."""
    further = replace(ATS, name="further", prefix="further")
    monkeypatch.setattr("otc_assets.domain.datasets.EVERY_DATASET", (*EVERY_DATASET, further))
    copy = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent / "migrations", copy)
    original = migrations.alembic_config

    def config_of_the_copy(connection: sa.Connection | None = None) -> Config:
        config = original(connection)
        config.set_main_option("script_location", str(copy))
        return config

    monkeypatch.setattr(migrations, "alembic_config", config_of_the_copy)
    return further, copy / "versions"


def test_a_migration_that_is_written_creates_what_it_was_written_for(
    database_url: str, migrations_of_a_further_dataset: tuple[Dataset, Path]
):
    further, versions = migrations_of_a_further_dataset
    before = set(versions.glob("*.py"))
    migrations.write_migration("a further dataset")
    (written,) = set(versions.glob("*.py")) - before
    newest = max(int(path.name[:4]) for path in before)
    assert written.name == f"{newest + 1:04}_a_further_dataset.py"
    engine = create_engine(database_url)
    migrate(engine, ATS, "heads")  # without what create_all would add
    assert set(metadata(further).tables) <= tables(engine)
    engine.dispose()


def test_migrating_twice_changes_nothing(warehouse: Warehouse):
    before = tables(warehouse.engine)
    migrate(warehouse.engine)
    assert tables(warehouse.engine) == before


def test_two_processes_may_come_first_at_once(database_url: str):
    errors: list[Exception] = []

    def first_use() -> None:
        try:
            Warehouse(database_url).engine.dispose()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=first_use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@each_dataset
def test_a_new_calculation_gets_its_table_without_a_migration(
    warehouse: Warehouse, dataset: Dataset
):
    name = dataset.table_name("liquidity_score")
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(f"DROP TABLE {name}_rows")
    migrate(warehouse.engine, dataset)
    assert f"{name}_rows" in tables(warehouse.engine)
    assert name in sa.inspect(warehouse.engine).get_view_names()


@each_dataset
def test_sqlite_tables_have_no_rowid_and_a_write_ahead_log(
    sqlite_warehouse: Warehouse, dataset: Dataset
):
    with sqlite_warehouse.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        name = dataset.table_name("venue_volume_rows")
        ddl = connection.exec_driver_sql(
            f"SELECT sql FROM sqlite_master WHERE name = '{name}'"
        ).scalar_one()
    assert "WITHOUT ROWID" in ddl


def test_postgres_tables_are_partitioned_in_schema_otc(postgres_url: str):
    engines = [Warehouse(postgres_url, dataset).engine for dataset in EVERY_DATASET]
    with engines[0].connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relkind = 'p' AND nspname = 'otc'"
        ).scalars()
        assert sorted(found) == sorted(
            dataset.table_name(f"{table.name}_rows")
            for dataset in EVERY_DATASET
            for table in bulk_tables(dataset)
        )
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:secret@host/db", "'mysql' is no store"),
        ("postgresql://u:secret@host/db", "postgresql\\+psycopg://"),
        ("sqlite://", "needs a file"),
    ],
)
def test_another_database_is_refused_without_its_password(url: str, says: str):
    with pytest.raises(ValueError, match=says) as error:
        create_engine(url)
    assert "secret" not in str(error.value)
