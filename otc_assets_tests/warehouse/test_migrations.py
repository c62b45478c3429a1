"""The schema comes up by itself, on both databases, and goes down again."""

import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from otc_assets.calculations import output_tables
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.migrate import downgrade, migrate
from otc_assets.warehouse.schema import metadata, partitioned_tables
from otc_assets.warehouse.store import Warehouse


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def test_first_use_creates_every_table(warehouse: Warehouse):
    assert set(metadata().tables) <= tables(warehouse.engine)


def test_migrations_alone_give_the_described_schema(database_url: str):
    engine = create_engine(database_url)
    migrate(engine, "heads")  # without what create_all would add
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata())
    created = {table.name for table in output_tables()}  # from the description, if it is new
    assert [d for d in differences if d[0] != "add_table" or d[1].name not in created] == []
    engine.dispose()


def test_down_to_nothing_and_up_again(warehouse: Warehouse):
    downgrade(warehouse.engine, "base")
    assert tables(warehouse.engine) <= {"alembic_version"}
    migrate(warehouse.engine)
    assert set(metadata().tables) <= tables(warehouse.engine)


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


def test_a_new_calculation_gets_its_table_without_a_migration(warehouse: Warehouse):
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE liquidity_score")
    migrate(warehouse.engine)
    assert "liquidity_score" in tables(warehouse.engine)


def test_sqlite_tables_have_no_rowid_and_a_write_ahead_log(sqlite_warehouse: Warehouse):
    with sqlite_warehouse.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        ddl = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE name = 'venue_volume'"
        ).scalar_one()
    assert "WITHOUT ROWID" in ddl


def test_postgres_tables_are_partitioned_in_schema_otc(postgres_url: str):
    store = Warehouse(postgres_url)
    with store.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relkind = 'p' AND nspname = 'otc'"
        ).scalars()
        assert set(found) == {table.name for table in partitioned_tables()}
    store.engine.dispose()


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
