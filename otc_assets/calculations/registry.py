"""Finds every calculation in this package, and puts them in the order of their inputs."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter

from otc_assets.calculations.spec import Calculation, CalculationSpec
from otc_assets.domain.datasets import VENUES, Dataset
from otc_assets.domain.tables import Table


@cache
def all_calculations() -> tuple[Calculation, ...]:
    """Return every calculation of this package, inputs before what reads them.

    Raises:
        ValueError: two calculations of the same name and version; versions of one table whose
            columns or keys differ; one that replaces what it cannot, or is retired while needed.

    """
    package = importlib.import_module(__package__)
    found: dict[str, Calculation] = {}
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(value, Calculation)
                and found.setdefault(value.spec.label, value) != value
            ):
                raise ValueError(f"two calculations are called {value.spec.label}")
    for calc in found.values():
        _refuse_false_succession(calc.spec, found)
    return _ordered(found.values())


def _refuse_false_succession(spec: CalculationSpec, found: Mapping[str, Calculation]) -> None:
    specs = [calc.spec for calc in found.values()]
    if spec.replaces:
        versions = ", ".join(s.label for s in specs if s.output_table == spec.output_table)
        replaced = found[spec.replaces].spec if spec.replaces in found else None
        if replaced is None or replaced.output_table != spec.output_table:
            raise ValueError(
                f"{spec.label} replaces {spec.replaces}, which does not fill {spec.output_table}; "
                f"there are {versions}"
            )
        if replaced.number >= spec.number:
            raise ValueError(f"{spec.label} replaces {spec.replaces}, which is not older")
    if spec.retired:
        if spec.label not in {s.replaces for s in specs}:
            raise ValueError(f"{spec.label} is retired, and no newer version replaces it")
        readers = [s.label for s in specs if spec.label in s.depends_on and not s.retired]
        if readers:
            raise ValueError(f"{spec.label} is retired, and {', '.join(readers)} depends on it")


def _ordered(calculations: Iterable[Calculation]) -> tuple[Calculation, ...]:
    by_table: dict[str, list[Calculation]] = {}
    for calc in sorted(calculations, key=lambda c: (c.spec.name, c.spec.number)):
        siblings = by_table.setdefault(calc.spec.output_table, [])
        if siblings and siblings[0].table != calc.table:
            raise ValueError(f"{calc.spec.label} and {siblings[0].spec.label} describe two tables")
        siblings.append(calc)
    graph = {
        name: {table for calc in calcs for table in calc.spec.input_tables if table in by_table}
        for name, calcs in by_table.items()
    }
    return tuple(
        calc for name in TopologicalSorter(graph).static_order() for calc in by_table[name]
    )


def output_tables(family: str = VENUES) -> tuple[Table, ...]:
    """Return the table of every calculation of a family, inputs before what reads them."""
    every = all_calculations()
    named = {calc.table.name for calc in every if family in calc.spec.families}
    mine = [calc for calc in every if calc.table.name in named]
    tables = {c.table.name: c.table for c in mine}
    for calc in mine:
        spec, table = calc.spec, tables[calc.table.name]
        older = {c.spec.label: c.spec.version for c in calculations_of(table.name)}
        if not spec.retired and not spec.is_breaking and spec.replaces in older:
            pairs = (*table.equal_versions, (older[spec.replaces], spec.version))
            tables[table.name] = replace(table, equal_versions=pairs)
    return tuple(tables.values())


def derived_tables_of(dataset: Dataset) -> tuple[Table, ...]:
    """Return the tables that are computed for a dataset, inputs before what reads them."""
    return tuple(dataset.described(table) for table in output_tables(dataset.family))


def tables_of(dataset: Dataset) -> tuple[Table, ...]:
    """Return raw, and the tables that are computed for a dataset: those that are assets."""
    return (dataset.raw, *derived_tables_of(dataset))


def calculations_of(table: str) -> tuple[Calculation, ...]:
    """Return the versions that fill ``table`` side by side, oldest first, without retired ones."""
    return tuple(
        c for c in all_calculations() if c.spec.output_table == table and not c.spec.retired
    )


def retired_versions(table: str) -> tuple[str, ...]:
    """Return the versions of ``table`` that are no longer computed, and may still have rows."""
    return tuple(
        c.spec.version
        for c in all_calculations()
        if c.spec.output_table == table and c.spec.retired
    )


def calculation_labelled(label: str) -> Calculation:
    """Return a calculation by its ``name_version`` (KeyError, with those there are, if none)."""
    calculations = {c.spec.label: c for c in all_calculations()}
    if label not in calculations:
        raise KeyError(f"no calculation {label!r}; there are {', '.join(sorted(calculations))}")
    return calculations[label]


def successor_of(label: str) -> Calculation:
    """Return the calculation in force that has replaced a retired one, given as ``name_version``.

    Raises:
        KeyError: there is no such calculation; the message lists those there are.
        ValueError: it is not retired.

    """
    if not calculation_labelled(label).spec.retired:
        retired = ", ".join(c.spec.label for c in all_calculations() if c.spec.retired)
        raise ValueError(
            f"{label} is in force; set retired=True in its spec first "
            f"(retired are: {retired or 'none'})"
        )
    newer = next(c for c in all_calculations() if c.spec.replaces == label)
    return successor_of(newer.spec.label) if newer.spec.retired else newer


def get_calculation(name: str, version: str | None = None) -> Calculation:
    """Return one calculation; without a version, its newest.

    Raises:
        KeyError: no such name or version; the message lists what there is.

    """
    versions = {c.spec.version: c for c in all_calculations() if c.spec.name == name}
    if not versions:
        names = sorted({c.spec.name for c in all_calculations()})
        raise KeyError(f"no calculation {name!r}; there are {', '.join(names)}")
    if version is None:
        return max(versions.values(), key=lambda c: c.spec.number)
    if version not in versions:
        raise KeyError(f"no version {version!r} of {name}; there are {', '.join(sorted(versions))}")
    return versions[version]
