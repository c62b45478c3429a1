"""Finds every calculation in this package, and puts them in the order of their inputs."""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter

from otc_assets.calculations.spec import Calculation
from otc_assets.domain.tables import Table


@cache
def all_calculations() -> tuple[Calculation, ...]:
    """Return every calculation of this package, inputs before what reads them.

    Raises:
        ValueError: two calculations of the same name and version, or versions of one table whose
            columns or keys differ.

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
    return _ordered(found.values())


def _ordered(calculations: Iterable[Calculation]) -> tuple[Calculation, ...]:
    by_table: dict[str, list[Calculation]] = {}
    for calc in sorted(calculations, key=lambda c: c.spec.label):
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


def output_tables() -> tuple[Table, ...]:
    """Return the table of every calculation, inputs before what reads them."""
    return tuple({c.table.name: c.table for c in all_calculations()}.values())


def calculations_of(table: str) -> tuple[Calculation, ...]:
    """Return the versions that fill ``table`` side by side, oldest first."""
    return tuple(c for c in all_calculations() if c.spec.output_table == table)


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
        return max(versions.values(), key=lambda c: int(c.spec.version.removeprefix("v")))
    if version not in versions:
        raise KeyError(f"no version {version!r} of {name}; there are {', '.join(sorted(versions))}")
    return versions[version]
