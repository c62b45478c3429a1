"""Who reads never writes, and says where it has looked and what to do if nothing is there."""

import shutil
import warnings
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.research import as_of, compare, history, latest
from otc_assets.research.knowledge import UnknownSymbol
from otc_assets.warehouse.engine import StoreError, create_engine
from otc_assets.warehouse.migrate import downgrade
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES

QUESTIONS: dict[str, Callable[..., Any]] = {
    "as_of": lambda **where: as_of("2025-07-15", **where),
    "latest": latest,
    "history": lambda **where: history("XGON", **where),
    "compare": lambda **where: compare("concentration", "v1", "v2", **where),
}
each_question = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
WEEKS = pipeline.weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-23")


@pytest.fixture(scope="module")
def filled(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two weeks of Tier 1, the second of them corrected."""
    folder = tmp_path_factory.mktemp("filled")
    shutil.copy(migrated_file, folder / "otc.db")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    pipeline.run(store, FIXTURES, folder / "archive", WEEKS)
    store.engine.dispose()
    return store.url


@each_question
def test_where_no_store_is_none_is_created(ask: Callable[..., Any], tmp_path: Path):
    path = tmp_path / "not here" / "otc.db"
    with pytest.raises(StoreError, match=rf"no file {path}.*OTC_HOME"):
        ask(database_url=f"sqlite:///{path}")
    assert list(tmp_path.iterdir()) == []


@each_question
@pytest.mark.unmigrated
def test_a_database_without_our_tables_stays_without(ask: Callable[..., Any], database_url: str):
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    with pytest.raises(StoreError, match="has no tables of this project"):
        ask(database_url=database_url)
    engine = create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


@each_question
def test_an_empty_store_is_an_error_and_no_empty_answer(ask: Callable[..., Any], database_url: str):
    with pytest.raises(StoreError, match="has no week of ATS data: materialize one"):
        ask(database_url=database_url)


def test_a_dataset_that_was_never_loaded_is_an_error_too(filled: str):
    assert len(latest(database_url=filled))
    with pytest.raises(StoreError, match="has no week of non-ATS data"):
        latest(dataset="non_ats", database_url=filled)


def test_an_older_schema_is_not_migrated(warehouse: Warehouse):
    downgrade(warehouse.engine, "0003")
    with pytest.raises(StoreError, match=r"is of an earlier version: run `otc migrate`"):
        latest(database_url=warehouse.url)
    assert "store" not in sa.inspect(warehouse.engine).get_table_names()


def test_a_later_schema_is_refused(warehouse: Warehouse):
    with warehouse.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"is of a later version"):
        latest(database_url=warehouse.url)


def test_the_database_itself_refuses_a_reader_that_writes(warehouse: Warehouse):
    store = Store(warehouse.url)
    for statement in ("DELETE FROM manifest", "CREATE TABLE mine (x INT)"):
        with store.read() as reader, pytest.raises(sa.exc.DBAPIError, match=r"read-?only"):
            reader.connection.execute(sa.text(statement))
    store.engine.dispose()


def test_a_reader_sees_what_is_written_after_it_has_begun(warehouse: Warehouse, tmp_path: Path):
    store = Store(warehouse.url)
    with store.read() as reader:
        assert not reader.has_content()
    pipeline.run(warehouse, FIXTURES, tmp_path / "archive", WEEKS[:1])
    with store.read() as reader:
        assert reader.has_content()
    store.engine.dispose()


def test_a_server_that_cannot_be_reached_is_named_without_its_password():
    url = "postgresql+psycopg://me:hunter2@127.0.0.1:1/market"
    with pytest.raises(StoreError, match=r"127.0.0.1:1/market cannot be read") as error:
        latest(database_url=url)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"day": 20250715}, TypeError, "and not 20250715"),
        ({"day": np.datetime64("2025-07-15")}, TypeError, "a day is a date, a moment or text"),
        ({"day": None}, TypeError, "and not None"),
        ({"day": "15.07.2025"}, ValueError, "'15.07.2025' is no day: write 2025-01-15"),
        ({"day": ""}, ValueError, "'' is no day"),
        ({"day": datetime(2025, 7, 15)}, ValueError, "no time zone"),
        ({"tiers": "T1"}, ValueError, "no tier 'T1'; there are NMS Tier 1, NMS Tier 2, OTC"),
        ({"tiers": 1}, TypeError, "tiers are texts, and not 1"),
        ({"symbols": 1}, TypeError, "symbols are texts, and not 1"),
        ({"symbols": ["A", None]}, TypeError, "symbols are texts, and not None"),
        ({"weeks": "2025-05-15"}, ValueError, "Thursday"),
        ({"weeks": date(2025, 5, 18)}, ValueError, "Sunday"),
        ({"weeks": 20250516}, TypeError, "and not 20250516"),
        ({"dataset": "dealers"}, ValueError, "no dataset 'dealers'; there are ats, non_ats"),
        ({"dataset": None}, ValueError, "there are ats, non_ats"),
        ({"database_url": "mysql://x"}, ValueError, "no store of this project"),
        ({"database_url": "otc.db"}, ValueError, "no address of a database"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_with_what_is_allowed(
    filled: str, arguments: dict[str, Any], error: type[Exception], said: str
):
    with pytest.raises(error, match=said):
        as_of(**{"day": "2025-07-15", "database_url": filled, **arguments})


def test_history_is_of_one_symbol(filled: str):
    with pytest.raises(TypeError, match="symbol is one text"):
        history(["XGON"], database_url=filled)  # type: ignore[arg-type]


@pytest.mark.parametrize("spelled", ["xgon", "XG.ON", "Xgon"])
def test_another_spelling_is_a_hint_and_no_answer(filled: str, spelled: str):
    with pytest.warns(UnknownSymbol, match=f"no symbol '{spelled}' in any week; it has XGON"):
        assert as_of("2025-07-15", symbols=spelled, database_url=filled).empty


def test_a_symbol_that_is_not_known_yet_is_no_reason_to_warn(filled: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_of("2025-01-15", symbols="XGON", database_url=filled).empty
        assert len(as_of("2025-07-15", symbols="XGON", database_url=filled))


def test_the_symbols_of_a_store_are_those_of_its_rows(filled: str):
    store = Store(filled)
    with store.read() as reader:
        assert reader.symbols() == sorted(set(latest(database_url=filled)["symbol"]) | {"XGON"})
    store.engine.dispose()


def test_every_dataset_has_the_same_id_of_the_store(warehouse: Warehouse):
    ids = {Store(warehouse.url, dataset).store_id for dataset in DATASETS}
    assert len(ids) == 1
    assert ids == {Warehouse(warehouse.url, ATS).store_id}
