"""The schema comes up by itself, on both databases, and goes down again."""

import threading
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS, DATASETS, Dataset
from otc_assets.domain.tables import RAW, STORE_TABLES
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.migrate import downgrade, ensure_partitions, migrate
from otc_assets.warehouse.schema import metadata, partitioned_tables
from otc_assets.warehouse.store import Warehouse

each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


@each_dataset
def test_first_use_creates_every_table(database_url: str, dataset: Dataset):
    engine = Warehouse(database_url, dataset).engine
    assert set(metadata(dataset).tables) <= tables(engine)
    engine.dispose()


def test_the_tables_of_the_datasets_are_the_same_under_other_names():
    plain = {table.name for table in (*STORE_TABLES, *output_tables())}
    assert set(metadata(ATS).tables) == plain
    for dataset in DATASETS[1:]:
        assert set(metadata(dataset).tables) == {f"{dataset.prefix}_{name}" for name in plain}


def test_migrations_alone_give_the_described_schema(database_url: str):
    engine = create_engine(database_url)
    migrate(engine, ATS, "heads")  # without what create_all would add
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, [metadata(dataset) for dataset in DATASETS])
    # from the description, if it is new
    created = {dataset.table_name(table.name) for dataset in DATASETS for table in output_tables()}
    assert [d for d in differences if d[0] != "add_table" or d[1].name not in created] == []
    engine.dispose()


def test_down_to_nothing_and_up_again(warehouse: Warehouse):
    downgrade(warehouse.engine, "base")
    assert tables(warehouse.engine) <= {"alembic_version"}
    for dataset in DATASETS:
        migrate(warehouse.engine, dataset)
        assert set(metadata(dataset).tables) <= tables(warehouse.engine)


def test_the_rows_of_the_first_version_stay_and_lack_what_it_did_not_know(database_url: str):
    engine = create_engine(database_url)
    migrate(engine, ATS, "0001")
    week_ending, at = date(2025, 12, 26), datetime(2026, 1, 27, 12, tzinfo=UTC)
    if engine.dialect.name == "postgresql":
        ensure_partitions(engine, ATS, week_ending)
    new = ("notional", "firm_crd", "last_reported_date")
    with engine.begin() as connection:
        raw = sa.Table("raw", sa.MetaData(), autoload_with=connection)
        assert {c.name for c in raw.columns} == {c.name for c in RAW.columns} - set(new)
        text = {c.name: "text" for c in raw.columns if isinstance(c.type, sa.Text)}
        days = dict.fromkeys(("week_ending", "publication_date", "revision_date"), week_ending)
        counts = dict.fromkeys(("source_revision", "line_number", "trade_count"), 2)
        row = {**text, **days, **counts, "share_volume": 1.5, "content_hash": b"h" * 16}
        connection.execute(raw.insert().values(**row, ingested_at=at))
    migrate(engine)
    with engine.connect() as connection:
        (kept,) = connection.execute(sa.select(metadata(ATS).tables["raw"])).mappings()
    assert {name: kept[name] for name in new} == dict.fromkeys(new)
    assert (kept["symbol"], kept["trade_count"], kept["share_volume"]) == ("text", 2, 1.5)
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
        connection.exec_driver_sql(f"DROP TABLE {name}")
    migrate(warehouse.engine, dataset)
    assert name in tables(warehouse.engine)


@each_dataset
def test_sqlite_tables_have_no_rowid_and_a_write_ahead_log(
    sqlite_warehouse: Warehouse, dataset: Dataset
):
    with sqlite_warehouse.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        name = dataset.table_name("venue_volume")
        ddl = connection.exec_driver_sql(
            f"SELECT sql FROM sqlite_master WHERE name = '{name}'"
        ).scalar_one()
    assert "WITHOUT ROWID" in ddl


def test_postgres_tables_are_partitioned_in_schema_otc(postgres_url: str):
    engines = [Warehouse(postgres_url, dataset).engine for dataset in DATASETS]
    with engines[0].connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relkind = 'p' AND nspname = 'otc'"
        ).scalars()
        assert sorted(found) == sorted(
            dataset.table_name(table.name) for dataset in DATASETS for table in partitioned_tables()
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
