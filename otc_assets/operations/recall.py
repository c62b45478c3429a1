"""What the archive gives: the contents of revisions parsed again, and rows that were pruned.

Belongs here: from archived bytes to the rows that the store had. Does not belong here: comparing
them with what the store has (`recompute`), and deciding what is pruned (`retention`).
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import day_in_new_york
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.revisions import Revision, newest
from otc_assets.domain.tables import REJECTS, ColumnType, Table, from_lineage
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.revise import ORIGIN, merged
from otc_assets.settings import setting
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import SourceError
from otc_assets.sources.parse import ParsedFile, head_of, parse
from otc_assets.warehouse.bulk import as_series, as_stored
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Store

KEPT_FILES = 24
"""Parsed files that are remembered: of the weeks of a window, the corrections among them."""
RECALLED_FILES = 3
"""The same where rows are recalled, which a process does for as long as it lives."""
OF_ARCHIVE = ("raw", REJECTS.name)
"""Tables that are a file's lines; the others are computed."""


class UnreadableError(StoreError):
    """The archive has not the bytes of a revision, or they cannot be parsed."""

    def __init__(self, week: SliceKey, key: str, name: str, reason: str) -> None:
        """Say what is wrong with the file ``name`` of ``week`` that is archived under ``key``."""
        super().__init__(reason)
        self.week = week
        self.key = key
        self.name = name


class Contents:
    """The contents of slices as the archive has them, parsed again."""

    def __init__(self, archive: Archive, kept: int = KEPT_FILES) -> None:
        """Read from ``archive``, and remember the newest files."""
        self._archive = archive
        self._parsed = lru_cache(kept)(self._parse)
        self.computed: OrderedDict[tuple[str, SliceKey, Revision], pd.DataFrame] = OrderedDict()
        """Tables of single revisions, which the windows of other weeks and other days share."""

    def of(self, reader: SliceReader, week: SliceKey, number: int) -> ParsedFile:
        """Return the content of a revision; of a merged one, with what it was merged into.

        Raises:
            UnreadableError: the archive has not the bytes, or they cannot be parsed.

        """
        record = reader.revision(week, number)
        on = day_of_reading(record)
        parsed = self._parsed(record["archive_key"], record["source_file"], week, on)
        lineage = reader.lineage("raw", week, source_revision=number)
        if len({each["source_sha256"] for each in lineage}) < 2:
            return parsed
        earlier = [r for r in reader.revisions([week])[week] if r.source_revision < number]
        base = newest(earlier)
        if base is None:
            return parsed
        before = reader.revision(week, base.source_revision)
        stored = self.of(reader, week, base.source_revision).rows
        for column in ORIGIN:  # the base's own file, where it is not merged itself
            if column not in stored:
                stored = stored.assign(**{column: before[column]})
        return merged(stored, base.content_sha256, parsed, record["source"], reader.dataset)

    def first_rows(
        self, reader: SliceReader, week: SliceKey, number: int, lines: int
    ) -> pd.DataFrame | None:
        """Return the rows of a revision that its file's first lines give, in their order.

        None where only the whole tells: several files were merged, or these lines name no slice.
        """
        record = reader.revision(week, number)
        if len(reader.lineage("raw", week, source_revision=number)) > 1:
            return None
        try:
            head = head_of(self._archive.get(record["archive_key"]), lines)
            on = day_of_reading(record)
            return parse(record["source_file"], head, week, on, reader.dataset).rows
        except SourceError:
            return None

    def _parse(self, key: str, name: str, week: SliceKey, day: date) -> ParsedFile:
        try:
            return parse(name, self._archive.get(key), week, day, self._archive.dataset)
        except SourceError as error:
            raise UnreadableError(week, key, name, str(error)) from error


def day_of_reading(record: Mapping[str, Any]) -> date:
    """Return the day in New York on which the file of a revision was read."""
    return day_in_new_york(record["ingested_at"])


def rows_of_content(reader: SliceReader, content: ParsedFile, table: Table) -> pd.DataFrame:
    """Return the rows that a content gives in raw or rejects, as the store would have them."""
    rows = content.rejects if table.name == REJECTS.name else content.rows
    ordered = rows.sort_values("line_number", ignore_index=True)
    return as_stored(reader.connection, table, ordered)


class ArchiveReader(SliceReader):
    """Reads raw and rejects from the archive, and revisions from the store."""

    def __init__(self, reader: SliceReader, contents: Contents) -> None:
        """Read in the transaction of ``reader``."""
        super().__init__(reader.connection, reader.dataset, FrameCache())
        self._store = reader
        self._contents = contents

    @property
    def computed(self) -> OrderedDict[tuple[str, SliceKey, Revision], pd.DataFrame]:
        """Tables of single revisions that were computed from the archive's files already."""
        return self._contents.computed

    def frame(
        self,
        name: str,
        week: SliceKey,
        columns: Sequence[str] | None = None,
        *,
        fresh: bool = False,
        **equal: Any,
    ) -> pd.DataFrame:
        """Return the rows of raw or rejects of one revision, as `SliceReader.frame` does."""
        content = self._contents.of(self._store, week, equal["source_revision"])
        return rows_of_content(self._store, content, self.table(name))[list(columns or [])]


class Recall:
    """Gives the rows that retention has removed: those of raw and rejects, and computed ones."""

    def __init__(self, archive_url: str | None = None) -> None:
        """Read from the archive at ``archive_url`` (default: OTC_ARCHIVE_URL)."""
        self._url = archive_url
        self._contents: dict[tuple[str, Dataset], Contents] = {}

    def __call__(
        self, reader: SliceReader, name: str, week: SliceKey, lineage: Sequence[Mapping[str, Any]]
    ) -> pd.DataFrame:
        """Return the rows of a slice that have some lineage, as they were stored.

        Raises:
            UnreadableError: the archive cannot give them.

        """
        table = reader.table(name)
        numbers = dict.fromkeys(record["source_revision"] for record in lineage)
        parts = []
        for number in numbers:
            mine = [record for record in lineage if record["source_revision"] == number]
            contents = self._of(reader.dataset)
            if table.name in OF_ARCHIVE:
                rows = rows_of_content(reader, contents.of(reader, week, number), table)
            else:
                rows = _computed(ArchiveReader(reader, contents), table, week, number)
            parts.append(self._numbered(reader, table, week, rows, mine))
        return pd.concat(parts, ignore_index=True)

    def first_rows(
        self, reader: SliceReader, week: SliceKey, number: int, lines: int
    ) -> pd.DataFrame | None:
        """Return the same as `Contents.first_rows`, which takes little time."""
        return self._of(reader.dataset).first_rows(reader, week, number, lines)

    def archive(self, dataset: Dataset) -> Archive:
        """Return the archive of a dataset that rows come from."""
        return Archive(self._url or setting("OTC_ARCHIVE_URL"), dataset)

    def _of(self, dataset: Dataset) -> Contents:
        archive = self.archive(dataset)
        at = str(archive.root), dataset
        return self._contents.setdefault(at, Contents(archive, RECALLED_FILES))

    def _numbered(
        self,
        reader: SliceReader,
        table: Table,
        week: SliceKey,
        rows: pd.DataFrame,
        lineage: Sequence[Mapping[str, Any]],
    ) -> pd.DataFrame:
        """Give each row the number of its lineage, and the types that it has in the store."""
        names = [column.name for column in table.columns if column.name in rows]
        kept = from_lineage(table)
        shared = [name for name in names if name in kept]
        number_of = {
            tuple(str(record[name]) for name in shared): record["lineage_number"]
            for record in lineage
        }
        keys = zip(*(rows[name].map(str) for name in shared), strict=True) if shared else ()
        numbers = [number_of.get(key, 0) for key in keys] or [*number_of.values()] * len(rows)
        if Counter(numbers) != Counter({r["lineage_number"]: r["row_count"] for r in lineage}):
            raise self._other_rows(reader, table, week, len(rows), lineage)
        typed = {n: _typed(rows[n], table.column(n).type) for n in names if n not in shared}
        return pd.DataFrame({"lineage_number": numbers, **typed})

    def _other_rows(
        self,
        reader: SliceReader,
        table: Table,
        week: SliceKey,
        count: int,
        lineage: Sequence[Mapping[str, Any]],
    ) -> UnreadableError:
        """Say that the archive gives other rows than were pruned."""
        record = reader.revision(week, lineage[0]["source_revision"])
        key, stored = record["archive_key"], sum(each["row_count"] for each in lineage)
        reason = (
            f"{table.name} of {week} is kept in the archive alone, and this code reads {count} "
            f"rows from {key} where {stored} were stored: install the version that stored them, "
            "and run `otc restore`"
        )
        return UnreadableError(week, key, record["source_file"], reason)


def _computed(reader: ArchiveReader, table: Table, week: SliceKey, number: int) -> pd.DataFrame:
    """Compute a table of one week from a revision of it, as the store would have it.

    Raises:
        UnreadableError: the store has the revision no more (policy OVERWRITE).

    """
    known = Knowledge(reader, week)
    try:
        known.revisions[week] = next(
            each for each in known.every_revision[week] if each.source_revision == number
        )
    except StopIteration:
        reason = (
            f"the rows of {table.name} of {week} that were removed are of revision {number}, which "
            f"was overwritten: materialize {table.name} of this partition"
        )
        raise UnreadableError(week, "", "", reason) from None
    return as_stored(reader.connection, table, known.compute(table.name))


def _typed(values: "pd.Series[Any]", kind: ColumnType) -> "pd.Series[Any]":
    """Return a column of its own in the type in which the store gives it."""
    found = [None if null else v for v, null in zip(values, values.isna(), strict=True)]
    if kind is ColumnType.DATE:
        found = [date.fromisoformat(v) if isinstance(v, str) else v for v in found]
    return as_series(found, kind)


def store_to_read(dataset: Dataset) -> Store:
    """Return the store that is set, to read; what retention has removed comes from its archive."""
    return Store(setting("OTC_DATABASE_URL"), dataset, Recall())
