"""What a dataset declares about itself. All the rest follows, and is the same for each.

The design's `WeeklyTransparencyDomain` (its section 8.1) as a declaration, of any grain. The
datasets themselves are in `otc_assets.domain.datasets` and `otc_assets.domain.neighbours`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from otc_assets.domain.grains import AnySlice, Grain, Months, Slicing
from otc_assets.domain.tables import (
    EXACT,
    RAW,
    SLICE,
    STORE_TABLES,
    Column,
    ColumnType,
    Table,
    content_columns,
    of_period,
)
from otc_assets.domain.weeks import WEEK, WEEKS

WEEKLY_SUMMARY, WEEKLY_HISTORIC = "weeklySummary", "weeklySummaryHistoric"
VENUES, FIRMS, BLOCKS, DAYS = "venues", "firms", "blocks", "days"
"""Families of calculations: on venue by symbol in weeks, on firm by symbol in months, on blocks,
and on symbols by day."""


Delay = timedelta | Months


@dataclass(frozen=True, eq=False)
class Dataset:
    """One of FINRA's datasets."""

    name: str
    """Names its jobs, sensors and schedules."""
    title: str
    """What the UI and messages call it."""
    summary_type: str | None
    """FINRA's summaryTypeCode of its rows; None if its FINRA set has no other rows."""
    publication_delay: Mapping[Any, Delay]
    """By section: from the first day of a period to its publication, or if the market is closed on
    that day, on the next one on which it is open."""
    first_period: date
    """The first period that FINRA published."""
    venue_columns: tuple[str, ...]
    """The columns of raw that identify a venue; joined by a space they are its ``mpid``. Empty
    where raw has none."""
    prefix: str = ""
    """Before the names of its tables, and the first part of its asset keys; the first dataset,
    which came before there were others, has none."""
    slicing: Slicing = WEEKS
    """Its grain, and its sections."""
    set_name: str = WEEKLY_SUMMARY
    """FINRA's set of its newest periods, which may still be corrected."""
    historic_set: str = ""
    """FINRA's set of its older periods, which do not change; all summary types come together."""
    fields: Mapping[str, str] | None = None
    """FINRA's fields to the columns of raw; None: those of `WEEKLY_SUMMARY`."""
    file_fields: Mapping[str, str] | None = None
    """The same of files that FINRA offers beside the set, if their fields have other names. Their
    days read 20250516, and their last line has the number of the others."""
    section_codes: Mapping[str, str] | None = None
    """By section, the Query API's tierIdentifier; None: those of the three tiers."""
    raw_table: Table = RAW
    """What raw holds; weekly or not, its slice is named by the dataset's grain."""
    record: tuple[str, ...] = ("symbol", "mpid")
    """What identifies a record of raw within a slice..."""
    twins: tuple[str, ...] = ("issue_name", "product_type")
    """...and what tells real twins of one record apart."""
    family: str = VENUES
    """Its calculations: all that declare this family."""
    validated: str = "venue_volume"
    """The table that holds raw's newest revision, validated."""
    features: str = ""
    """The derived table of which its feature files are made, one that looks at no earlier period;
    none if empty. The weekly two have feature files of another kind."""
    hour: int = 6
    """From which hour on, in New York, its schedules look for what is published on a day."""
    is_expected: bool = True
    """Whether it is a gap if the store has nothing of it at all; if not, only what follows on the
    first period that somebody has taken in is due."""

    def table_name(self, name: str) -> str:
        """Return what the database calls a table of this dataset."""
        return f"{self.prefix}_{name}" if self.prefix else name

    @property
    def grain(self) -> Grain:
        """What its periods are."""
        return self.slicing.grain

    @property
    def is_weekly(self) -> bool:
        """Whether it has tiers in weeks, which is what research knows."""
        return self.slicing is WEEKS

    def key(self, section: str, period: date) -> AnySlice:
        """Return one of its slices."""
        return self.slicing.key(section, period)

    def described(self, table: Table) -> Table:
        """Return a table as this dataset has it: its slice is named by the dataset's grain."""
        return table if self.grain is WEEK else of_period(table, self.grain.column, self.grain.name)

    @cached_property
    def raw(self) -> Table:
        """The table raw."""
        return self.described(self.raw_table)

    @cached_property
    def store_tables(self) -> tuple[Table, ...]:
        """The tables that no calculation fills, raw first."""
        return (self.raw, *(self.described(table) for table in STORE_TABLES if table is not RAW))

    @cached_property
    def content(self) -> tuple[Column, ...]:
        """The columns that make up the content of a row of raw."""
        return content_columns(self.raw)

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """The columns of raw that hold numbers."""
        numbers = (*EXACT, ColumnType.COUNT, ColumnType.NUMBER)
        return tuple(column.name for column in self.content if column.type in numbers)

    @cached_property
    def slice_columns(self) -> tuple[str, ...]:
        """The columns that name a slice in each of its tables."""
        return tuple(column.name for column in (self.grain.column, *SLICE[1:]))
