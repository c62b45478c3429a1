"""What this project uses of Dagster beyond its public surface is still there, as it was.

No module that uses these names is imported at the head of this file. So a name that Dagster has
moved fails a test that says which name it is, instead of an import.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from otc_assets_tests.conftest import REPOSITORY

STORAGE = "otc_assets/automation/storage.py"


class Private(NamedTuple):
    """One private name of Dagster that one of our files imports."""

    file: str
    module: str
    name: str
    alias: str

    def __str__(self) -> str:
        return f"{self.file}: {self.module}.{self.name}"


def _privates(path: Path) -> Iterator[Private]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster"):
            module = str(node.module)
            if "._" in module or module.startswith("dagster_postgres."):
                for alias in node.names:
                    file = str(path.relative_to(REPOSITORY))
                    yield Private(file, module, alias.name, alias.asname or alias.name)


PRIVATES = [
    private
    for path in sorted((REPOSITORY / "otc_assets").rglob("*.py"))
    for private in _privates(path)
]


def _found(private: Private) -> Any:
    advice = (
        f"Dagster has moved {private.module}.{private.name}, which {private.file} uses: read what "
        "has replaced it, change that file, and run the tests of platform/ and automation/"
    )
    try:
        return getattr(importlib.import_module(private.module), private.name)
    except (ImportError, AttributeError):
        pytest.fail(advice)


def test_private_names_are_used_in_few_files():
    assert {private.file for private in PRIVATES} == {
        STORAGE,
        "otc_assets/automation/backfills.py",
        "otc_assets/checks/evaluations.py",
        "otc_assets/monitoring/instance.py",
    }


@pytest.mark.parametrize("private", PRIVATES, ids=str)
def test_a_private_name_is_where_it_was(private: Private):
    _found(private)


def _keywords(private: Private) -> Iterator[tuple[str, str]]:
    """Yield each keyword that the file gives to the name, or to a method of it."""
    for node in ast.walk(ast.parse((REPOSITORY / private.file).read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.split(".")[0] == private.alias:
                yield from ((called, str(keyword.arg)) for keyword in node.keywords)


@pytest.mark.parametrize("private", PRIVATES, ids=str)
def test_a_private_call_takes_the_arguments_that_it_is_given(private: Private):
    for called, keyword in _keywords(private):
        target = _found(private)
        for attribute in called.split(".")[1:]:
            target = getattr(target, attribute, None)
        assert target is not None, f"Dagster has no {called} any more; {private.file} calls it"
        taken = {*inspect.signature(target).parameters, *getattr(target, "_fields", ())}
        assert keyword in taken, f"{called} takes no {keyword} any more; {private.file} gives it"


@pytest.fixture(scope="module")
def storage() -> ModuleType:
    for private in PRIVATES:
        if private.file == STORAGE:
            _found(private)
    return importlib.import_module("otc_assets.automation.storage")


OVERRIDES = [
    (node.name, method.name)
    for node in ast.parse((REPOSITORY / STORAGE).read_text()).body
    if isinstance(node, ast.ClassDef)
    for method in node.body
    if isinstance(method, ast.FunctionDef)
]


@pytest.mark.parametrize(("ours", "method"), OVERRIDES)
def test_a_storage_overrides_what_dagster_calls_and_nothing_else(
    storage: ModuleType, ours: str, method: str
):
    for parent in _parents(getattr(storage, ours)):
        _overrides(storage, parent, ours, method)


def _parents(ours: type) -> list[type]:
    """Return the class of Dagster's that one of ours extends; of a mixin, all that it changes."""
    if ours.__base__ is not object:
        return [base for base in [ours.__base__] if base]
    return [base for each in ours.__subclasses__() for base in each.__bases__ if base is not ours]


def _overrides(storage: ModuleType, parent: type, ours: str, method: str) -> None:
    if method.startswith("_") and method != "__init__":
        assert not hasattr(parent, method), f"{parent} has a {method} now; rename ours in {STORAGE}"
        return
    theirs = getattr(parent, method, None)
    assert theirs, f"{parent} has no {method} any more; {STORAGE} overrides it in vain"
    accepted = list(inspect.signature(getattr(getattr(storage, ours), method)).parameters)
    expected = list(inspect.signature(theirs).parameters)
    assert accepted == expected[: len(accepted)], f"{method} of {parent} is called otherwise now"


def test_the_attributes_of_the_sqlite_storage_are_as_it_is_used(
    storage: ModuleType, tmp_path: Path
):
    usual = storage.DagsterSqliteStorage.from_local(str(tmp_path))
    ours = storage.PooledSqliteStorage.from_local(str(tmp_path))
    assert set(vars(ours)) == set(vars(usual)), f"{STORAGE} sets other attributes than Dagster"
    for part in ("_run_storage", "_schedule_storage"):
        address = getattr(usual, part)._conn_string
        assert getattr(ours, part)._conn_string == address, f"Dagster keeps {part} elsewhere now"
    ours.dispose()
    events = usual._event_log_storage
    assert usual.event_log_storage is events, f"{STORAGE} sets _event_log_storage in vain"
    assert Path(events.path_for_shard("index")).parent == tmp_path / "history/runs"
    assert events.conn_string_for_shard("index").startswith("sqlite:///")
    clash = {"_engines", "_tables", "_turn"} & set(vars(events))
    assert not clash, f"Dagster has attributes of these names now; rename ours in {STORAGE}"
    usual.dispose()


@pytest.mark.parametrize("part", ["RunStorage", "EventLogStorage", "ScheduleStorage"])
def test_each_part_of_the_postgres_storage_can_keep_its_connections(part: str):
    kept = getattr(importlib.import_module("dagster_postgres"), f"Postgres{part}")
    taken = list(inspect.signature(kept.optimize_for_webserver).parameters)
    assert taken == ["self", "statement_timeout", "pool_recycle", "max_overflow"], STORAGE
