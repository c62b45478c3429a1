"""The extension decides: without it nothing is made, with it all rows move, and back again."""

import os

import pytest
import sqlalchemy as sa
from alembic import command

from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse import timescale
from otc_assets.warehouse.engine import StoreError, create_engine, write_transaction
from otc_assets.warehouse.migrate import (
    Schema,
    alembic_config,
    downgrade,
    leave_timescale,
    migrate,
    schema_of,
)
from otc_assets.warehouse.schema import metadata
from otc_assets.warehouse.store import Store
from otc_assets_tests import pipeline
from otc_assets_tests.pipeline import weeks

if not os.environ.get("OTC_TEST_TIMESCALE"):
    pytest.skip("make test-timescale", allow_module_level=True)

from otc_assets_tests.timescale.conftest import EXTENSION, Home

SLICES = weeks([Tier.NMS_TIER_1, Tier.OTC], "2025-05-16", "2025-05-16")
LATER = weeks([Tier.OTC], "2025-06-06", "2025-06-06")


@pytest.fixture(scope="module")
def home(server: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that was filled without the extension."""
    filled = Home(server, tmp_path_factory.mktemp("home"))
    for dataset in DATASETS:
        filled.run(SLICES, dataset)
    return filled


@pytest.fixture(scope="module")
def contents(home: Home) -> list[str]:
    """What it had then."""
    return [pipeline.content(home.store(dataset)) for dataset in DATASETS]


def relations(home: Home, kind: str) -> set[str]:
    return set(home.ask(f"SELECT relname FROM pg_class WHERE relkind = '{kind}'"))


def standing(home: Home) -> Schema:
    return schema_of(create_engine(home.url), ATS)


def test_without_the_extension_there_is_nothing_of_it(home: Home, contents: list[str]):
    assert {"raw_rows", "non_ats_venue_volume_rows"} <= relations(home, "p")
    assert not relations(home, "r") & {"alembic_version_timescale"}
    assert not relations(home, "v") & {"weekly_summary_agg"}
    assert home.ask("SELECT extname FROM pg_extension") == ["plpgsql"]


def test_a_reader_says_that_a_new_extension_asks_for_a_migration(home: Home, contents: list[str]):
    home.tell(EXTENSION)
    assert standing(home) is Schema.OLDER
    with pytest.raises(StoreError, match="otc migrate"), Store(home.url).read():
        pass


def test_rows_that_are_there_move_into_hypertables(home: Home, contents: list[str]):
    assert [pipeline.content(home.store(dataset)) for dataset in DATASETS] == contents
    assert standing(home) is Schema.CURRENT
    hypertables = home.ask("SELECT hypertable_name FROM timescaledb_information.hypertables")
    assert {"raw_rows", "non_ats_venue_volume_rows"} <= set(hypertables)
    assert not relations(home, "p") & set(hypertables)
    assert not {name for name in relations(home, "r") if name.startswith("raw_rows_y")}


def test_compressed_rows_get_numbers_for_their_names(home: Home, contents: list[str]):
    """A store of the version before, with the extension: it is left, and made use of again."""
    engine = create_engine(home.url)
    downgrade(engine, "0011")
    with write_transaction(engine, "migrations") as connection:
        command.upgrade(alembic_config(connection, timescale.FOLDER), "head")
    home.run_jobs("policy_compression")
    compressed = (
        "SELECT count(*) FROM timescaledb_information.chunks "
        "WHERE is_compressed AND hypertable_name = 'raw_rows'"
    )
    assert home.ask(compressed) == [1]
    assert {type(name) for name in home.ask("SELECT issue_name FROM raw_rows")} == {str}
    migrate(engine)
    assert home.ask(compressed) == [0]
    assert {type(number) for number in home.ask("SELECT issue_name FROM raw_rows")} == {int}
    assert [pipeline.content(home.store(dataset)) for dataset in DATASETS] == contents
    home.run_jobs("policy_compression")
    assert home.ask(compressed) == [1]
    assert [pipeline.content(home.store(dataset)) for dataset in DATASETS] == contents


def test_they_move_back_when_the_extension_is_to_go(home: Home, contents: list[str]):
    leave_timescale(create_engine(home.url))
    home.tell("DROP EXTENSION timescaledb")
    assert standing(home) is Schema.CURRENT
    assert [pipeline.content(home.store(dataset)) for dataset in DATASETS] == contents
    assert {"raw_rows", "non_ats_venue_volume_rows"} <= relations(home, "p")
    assert "raw_rows_y2025" in relations(home, "r")
    inspector = sa.inspect(create_engine(home.url))
    for table in ("raw_rows", "venue_volume_rows"):
        found, described = inspector.get_pk_constraint(table), metadata(ATS).tables[table]
        assert found["name"] == described.primary_key.name
        assert found["constrained_columns"] == [column.name for column in described.primary_key]


def test_and_weeks_are_written_as_before(home: Home, contents: list[str]):
    home.run(LATER)
    with home.store().read() as reader:
        assert set(LATER) < set(reader.loaded_slices())
