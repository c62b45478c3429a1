"""The contract of a calculation: what it declares about itself, and how it is called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import VENUES
from otc_assets.domain.tables import DERIVED_LINEAGE, SLICE, Column, Table

Frames = Mapping[str, pd.DataFrame]
"""The input tables by name. Each holds one tier, without the columns week_ending and tier; with
``weeks_required`` > 1 it holds that many weeks, and the column ``weeks_back`` (0: the target week).
Share quantities are int64 millionths."""

Compute = Callable[[Any, Frames], pd.DataFrame]
"""From the target slice (a `SliceKey`, of weeks a `WeekKey`) and its input to the output rows, in
the order of their key."""


@dataclass(frozen=True, kw_only=True)
class CalculationSpec:
    """Everything that the platform needs to know about one version of a calculation.

    The fields are those of the design (its section 4.1); ``columns`` and ``key`` describe the
    output table, from which ``output_columns`` follows.
    """

    name: str
    version: str
    """``v{major}``; a change of results or of columns is a new major version."""
    input_tables: tuple[str, ...]
    output_table: str
    families: tuple[str, ...] = (VENUES,)
    """Which datasets have its table: all that name one of them. Of a table's versions, it is enough
    if one says so."""
    weeks_required: int = 1
    """Weeks (of another grain, periods) of input, the target week included."""
    depends_on: tuple[str, ...] = ()
    """The calculations, as ``name_version``, whose results it reads."""
    is_breaking: bool = False
    """The output differs in meaning from that of the version that it replaces. One that replaces
    another and breaks nothing promises equal values: a quality rule holds it to that."""
    replaces: str | None = None
    """The older version of the same table, as ``name_version``, that this one supersedes."""
    retired: bool = False
    """It is no longer computed. Its rows stay until `otc_assets.operations.versions.retire`."""
    description: str
    assumptions: tuple[str, ...]
    columns: tuple[Column, ...]
    """The columns it computes, without slice and lineage."""
    key: tuple[str, ...]
    """What identifies a row within a slice."""
    expected_row_count: str
    """In words: '1 per symbol'."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Columns by which rows are looked up across weeks."""

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The names of the columns it computes."""
        return tuple(column.name for column in self.columns)

    @property
    def number(self) -> int:
        """The version as a number, by which versions are older and newer."""
        return int(self.version.removeprefix("v"))

    @property
    def label(self) -> str:
        """``name_version``, as ``depends_on`` and ``replaces`` name it."""
        return f"{self.name}_{self.version}"


@dataclass(frozen=True)
class Calculation:
    """One version of a calculation: its spec, and its pure function."""

    spec: CalculationSpec
    compute: Compute

    @cached_property
    def table(self) -> Table:
        """The table it fills: slice, its own columns, lineage."""
        lineage = tuple(c for c in DERIVED_LINEAGE if c.name not in self.spec.output_columns)
        return Table(
            name=self.spec.output_table,
            grain="(week, tier, " + ", ".join(self.spec.key) + ")",
            description=self.spec.description,
            key=("week_ending", "tier", *self.spec.key),
            columns=(*SLICE, *self.spec.columns, *lineage),
            indexes=self.spec.indexes,
        )


def calculation(spec: CalculationSpec) -> Callable[[Compute], Calculation]:
    """Make a pure function the calculation that ``spec`` declares; the registry finds it."""

    def bind(compute: Compute) -> Calculation:
        return Calculation(spec, compute)

    return bind
