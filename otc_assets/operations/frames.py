"""A slice's tables as frames: as they stand in the store, or as they stood on an earlier day."""

from collections.abc import Iterator, Mapping
from datetime import date

import pandas as pd

from otc_assets.calculations import calculations_of, retired_versions, tables_of
from otc_assets.calculations.rolling_6w import WINDOW_WEEKS
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import Intake, SliceStatus, SliceView
from otc_assets.domain.rejects import RejectReason
from otc_assets.domain.revisions import newest
from otc_assets.domain.tables import ColumnType
from otc_assets.warehouse.reader import SliceReader

CONTEXT_WEEKS = WINDOW_WEEKS
"""Weeks that the calculations and the rules look at, the target week included."""


class Knowledge(Mapping[str, pd.DataFrame]):
    """The tables of one slice, loaded when asked for, as they were known at the end of a day.

    Where the store's tables are of the revisions that were known then, they are read; where a later
    correction has replaced them, they are computed again from raw, which has every revision.
    """

    def __init__(
        self,
        reader: SliceReader,
        week: SliceKey,
        as_of: date | None = None,
        fresh: str | None = None,
    ) -> None:
        """Look at ``week`` through ``reader``, as known on ``as_of`` (default: newest).

        The week's table ``fresh`` is read from the store, whatever this process has written.
        """
        self._fresh = fresh
        self.reader = reader
        self.week = week
        every = reader.revisions(week.window(CONTEXT_WEEKS))
        self.every_revision = every
        self.revisions = {w: r for w in every if (r := newest(every[w], as_of))}
        # A week that was not public then is one of them: the store's windows may have it.
        self._replaced = {w for w in every if self.revisions.get(w) != newest(every[w])}
        self._frames: dict[tuple[str, SliceKey], pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return the slice's rows of a table."""
        return self.table(name, self.week)

    def __setitem__(self, name: str, frame: pd.DataFrame) -> None:
        """Take rows that were just computed, rather than read them back."""
        self._frames[name, self.week] = frame

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the tables."""
        return iter([table.name for table in tables_of(self.reader.dataset)])

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(tables_of(self.reader.dataset))

    def on(self, day: date) -> "Knowledge":
        """Return the same slice as it was known at the end of an earlier day."""
        return Knowledge(self.reader, self.week, day)

    def as_of_date_of(self, weeks: int) -> date:
        """Return the day on which the newest content of the last ``weeks`` weeks became public."""
        window = self.week.window(weeks)
        return max(r.revision_date for w, r in self.revisions.items() if w in window)

    def row_count(self, name: str, week: SliceKey) -> int:
        """Return the number of rows of a table for a week of the context."""
        if week in self._replaced:
            return len(self.table(name, week))
        versions = [calc.spec.version for calc in calculations_of(name)]
        return sum(self.reader.count(name, week, calc_version=version) for version in versions)

    def table(self, name: str, week: SliceKey) -> pd.DataFrame:
        """Return the rows of a table for a week of the context."""
        if (name, week) not in self._frames:
            self._frames[name, week] = self._load(name, week)
        return self._frames[name, week]

    def _load(self, name: str, week: SliceKey) -> pd.DataFrame:
        fresh = (name, week) == (self._fresh, self.week)
        if name == "raw":
            number = self.revisions[week].source_revision
            read = columns_of_raw(self.reader.dataset)
            return self.reader.frame(name, week, read, fresh=fresh, source_revision=number)
        if name == "research_snapshot":
            return current_knowledge(in_force(name, self.reader.frame(name, week)))
        weeks = max(calc.spec.weeks_required for calc in calculations_of(name))
        if self._replaced.isdisjoint(week.window(weeks)):
            own = calculations_of(name)[0].spec.columns
            columns = [c.name for c in own if c.type is not ColumnType.HASH] + ["calc_version"]
            return in_force(name, self.reader.frame(name, week, columns, fresh=fresh))
        return self.compute(name, week)

    def compute(self, name: str, week: SliceKey | None = None) -> pd.DataFrame:
        """Compute a table from its inputs, every version side by side, in the order of its key."""
        week = week or self.week
        parts = []
        for calc in calculations_of(name):
            inputs = {
                table: self._input(table, week, calc.spec.weeks_required)
                for table in calc.spec.input_tables
            }
            rows = calc.compute(week, inputs)
            parts.append(rows.assign(calc_name=calc.spec.name, calc_version=calc.spec.version))
        key = [column for column in self.reader.table(name).key if column in parts[0]]
        return pd.concat(parts, ignore_index=True).sort_values(key, ignore_index=True)

    def _input(self, name: str, week: SliceKey, weeks: int) -> pd.DataFrame:
        if weeks == 1:
            return self.table(name, week)
        grain = self.reader.dataset.grain
        window = [w for w in week.window(weeks) if w in self.revisions]
        return pd.concat(
            [
                self.table(name, w).assign(weeks_back=grain.between(w.period, week.period))
                for w in window
            ],
            ignore_index=True,
        )


def columns_of_raw(dataset: Dataset) -> list[str]:
    """Return what calculations and rules need of raw."""
    return [*dataset.record, *dataset.twins, *dataset.quantities]


def in_force(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a table without those that a retired version has left."""
    retired = retired_versions(name)
    if not retired:
        return rows
    return rows[~rows["calc_version"].isin(retired)].reset_index(drop=True)


def current_knowledge(snapshot: pd.DataFrame) -> pd.DataFrame:
    """Return the newest row of each symbol, without those that a correction has removed."""
    latest = snapshot.sort_values("as_of_date").drop_duplicates("symbol", keep="last")
    return latest[~latest["is_removed"].astype(bool)]


def view_of(known: Knowledge, status: SliceStatus, reason: str | None) -> SliceView:
    """Return what the quality rules may look at; other weeks are read only if a rule asks."""
    *before, last_week = known.week.window(CONTEXT_WEEKS)[:-1]
    loaded = [w for w in (*before, last_week) if w in known.revisions]

    dataset = known.reader.dataset

    def previous() -> pd.DataFrame | None:
        rows = known.table(dataset.validated, last_week) if last_week in loaded else None
        return None if rows is None or rows.empty else rows

    def recent_row_counts() -> tuple[int, ...]:
        return tuple(count for w in loaded if (count := known.row_count(dataset.validated, w)))

    return SliceView(
        week=known.week,
        status=status,
        reason=reason,
        frames=known,
        previous=previous,
        recent_row_counts=recent_row_counts,
        weeks_in_window=len(known.revisions),
        intake=intake_of(known) if known.week in known.revisions else None,
        dataset=dataset,
    )


def intake_of(known: Knowledge) -> Intake:
    """Return what became of the lines of the revision that is known."""
    number = known.revisions[known.week].source_revision
    record = known.reader.revision(known.week, number)
    return Intake(
        line_count=record["line_count"],
        row_count=record["row_count"],
        reject_count=record["reject_count"],
        repeat_count=record["repeat_count"],
        reasons=_reasons(known, number) if record["reject_count"] else {},
    )


def _reasons(known: Knowledge, number: int) -> dict[str, int]:
    """Count the refused lines of a revision by what is wrong with them."""
    codes = known.reader.frame("rejects", known.week, ["reason_code"], source_revision=number)
    refused = codes.loc[codes["reason_code"] != RejectReason.EXACT_REPEAT.value, "reason_code"]
    return {str(code): int(count) for code, count in refused.value_counts().items()}
