"""Verifies slices: the store has what the archive's bytes give, and what was written.

Two independent questions are asked of each table of a slice. Its rows are computed again from the
archive with the code at hand, as a rebuild does, and compared value by value. And their fingerprint
is compared with the one that the manifest has kept since they were written. Together the answers
tell a row that was changed by hand from code that computes something else. Nothing is written.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pandas as pd

from otc_assets.calculations import retired_versions
from otc_assets.domain.grains import SliceKey, among, oldest_first
from otc_assets.operations.derive import lineage_of
from otc_assets.operations.findings import (
    CHANGED_BYTES,
    CHANGED_MANIFEST,
    CHANGED_REVISION,
    CHANGED_ROWS,
    LACKING_REVISION,
    LACKING_ROWS,
    LOST_ROWS,
    NO_BYTES,
    OLD_AGGREGATE,
    Verified,
    cause_in_derived,
    cause_in_raw,
    manifest_cells,
    missing_revisions,
    missing_rows,
)
from otc_assets.operations.frames import in_force
from otc_assets.operations.ownership import check_archive
from otc_assets.operations.recall import ArchiveReader, Contents, UnreadableError, day_of_reading
from otc_assets.operations.recompute import (
    NO_ROW,
    Afresh,
    Cell,
    compare_aggregate,
    compare_derived,
    compare_revision,
    derived_tables,
)
from otc_assets.sources.archive import Archive, sha256_of
from otc_assets.sources.errors import SourceError
from otc_assets.sources.parse import ParsedFile, parse
from otc_assets.warehouse.fingerprint import (
    Fingerprints,
    content_of,
    fingerprint_of_nothing,
    fingerprints,
    part_column,
)
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Store
from otc_assets.warehouse.timescale import WEEKLY_SUMMARY, weekly_summary

SAMPLE = 20
"""Slices of a dataset that are verified by default."""
REFRESHED_WITHIN = timedelta(hours=2)
"""How long TimescaleDB's hourly refresh may take to show what was written."""


def chosen(
    store: Store,
    sample: int | None,
    seed: int,
    tiers: Collection[str] = (),
    weeks: Collection[str] = (),
) -> tuple[list[SliceKey], int]:
    """Return the slices to verify, oldest first, and how many there are to choose from.

    Args:
        store: the store of one dataset.
        sample: how many, drawn at random; None: all.
        seed: draws the same ones from the same slices again.
        tiers: of which tiers (default: of all).
        weeks: of which weeks, as ISO dates (default: of all).

    """
    with store.read() as reader:
        loaded = among(reader.loaded_slices(), tiers, weeks)
    some = loaded if sample is None else Random(seed).sample(loaded, min(sample, len(loaded)))
    return oldest_first(some), len(loaded)


def verify(store: Store, archive: Archive, weeks: Sequence[SliceKey]) -> Iterator[Verified]:
    """Verify slices of one dataset, and yield what was found in each.

    A damaged file of the archive is named once, in its own slice or in the first one that is
    computed from it. What depends on it is then computed from the rows of raw instead.

    Raises:
        OwnershipError: the archive is another store's.

    """
    check_archive(store, archive.root)
    contents = Contents(archive)
    damaged: set[str] = set()
    for week in weeks:
        with store.read_as_of_now() as reader:
            yield SliceVerification(reader, contents, archive, week, damaged).run()


class SliceVerification:
    """The verification of one slice, within one transaction that only reads."""

    def __init__(
        self,
        reader: SliceReader,
        contents: Contents,
        archive: Archive,
        week: SliceKey,
        damaged: set[str],
    ) -> None:
        """Verify ``week``; ``damaged`` has the files that were named already, and gets others."""
        self.reader = reader
        self.contents = contents
        self.archive = archive
        self.week = week
        self.damaged = damaged
        self.manifest = reader.manifest(week) or {}
        self.prints: dict[str, Fingerprints] = self.manifest["fingerprints"] or {}
        self.found = Verified(reader.dataset.name, week)

    def run(self) -> Verified:
        """Verify all that the slice has, and return what was found."""
        try:
            self._run()
        except UnreadableError as error:  # rows that the archive alone keeps
            if error.key in self.damaged:
                self.found.find("archive", [Cell(error.key, "", NO_ROW, "rows")], LOST_ROWS)
            else:
                self.damaged.add(error.key)
                self._damage(error)
        return self.found

    def _run(self) -> None:
        """Verify raw and rejects, then the derived tables, then what the manifest says of them."""
        records = self.reader.records("revisions", self.week)
        numbers = [record["source_revision"] for record in records]
        lacking = missing_revisions(self.prints.get("raw", {}), numbers)
        self.found.find("revisions", lacking, LACKING_REVISION)
        parts = {name: self._parts(name, self._live(name)) for name in ("raw", "rejects")}
        for record in records:
            self._raw(record, parts)
        if lacking or not records:  # without it the tables would be others
            return
        known = Afresh(SparingReader(self), self.week)
        tables = derived_tables(known)
        for name, rows in tables.items():
            self._derived(known, name, rows)
        self._aggregate()
        newest = known.revisions[self.week].source_revision
        differ = {finding.table for finding in self.found.findings}
        counts = {name: len(rows) for name, rows in tables.items() if name not in differ}
        cells = manifest_cells(self.manifest, self.reader.revision(self.week, newest), counts)
        self.found.find("manifest", cells, CHANGED_MANIFEST)

    def content_of(self, week: SliceKey, number: int) -> ParsedFile | None:
        """Return what the archive's file of a revision gives; None if it is damaged."""
        try:
            return self.contents.of(self.reader, week, number)
        except UnreadableError as error:
            if error.key not in self.damaged:
                self.damaged.add(error.key)
                self._damage(error)
            return None

    def _damage(self, error: UnreadableError) -> None:
        """Name a file of the archive that is not what it was."""
        try:
            data = self.archive.found(error.key)
        except SourceError:
            cells = [Cell(error.key, "", "no file", error.key.split("/")[-2])]
            self.found.find("archive", cells, NO_BYTES, error.week)
            return
        then, now = error.key.split("/")[-2], sha256_of(data)
        if then == now:
            cells = [Cell(error.key, "", "rows", "none")]
            self.found.find("archive", cells, f"this code cannot read the file: {error}")
            return
        cells = [Cell(error.key, "sha256", then, now)]
        self.found.find("archive", cells, CHANGED_BYTES, error.week)
        if error.week == self.week:
            self._compare_with_damaged(error, data)

    def _compare_with_damaged(self, error: UnreadableError, data: bytes) -> None:
        """Show which rows the changed bytes would give, if they can be parsed at all."""
        records = self.reader.records("revisions", self.week)
        record = next(r for r in records if r["archive_key"] == error.key)
        dataset = self.reader.dataset
        try:
            content = parse(error.name, data, self.week, day_of_reading(record), dataset)
        except SourceError:
            return
        number = record["source_revision"]
        if any(row["pruned_at"] for row in self.reader.lineage("raw", self.week)):
            return  # there is nothing else to compare with
        for each in compare_revision(self.reader, self.week, content, number):
            if each.table != "revisions":
                self.found.find_difference(each, CHANGED_BYTES)

    def _raw(self, record: dict[str, Any], parts: Mapping[str, "Parts"]) -> None:
        """Verify raw and rejects of one revision."""
        number = record["source_revision"]
        if content := self.content_of(self.week, number):
            if not self.reader.count("raw", self.week, source_revision=number):
                self.found.find("raw", [missing_rows(number, len(content.rows))], LACKING_ROWS)
                return
            differences = compare_revision(self.reader, self.week, content, number)
        else:
            differences = []
        for each in differences:
            cause = CHANGED_REVISION
            if each.table in parts:
                cause = cause_in_raw(**parts[each.table].of(str(number)))
            self.found.find_difference(each, cause)
        for name in parts.keys() - {each.table for each in differences}:
            self._changed_only(name, parts[name].changed & {str(number)})

    def _derived(self, known: Afresh, name: str, rows: pd.DataFrame) -> None:
        """Verify a derived table, given its rows as they are computed now."""
        if name not in self.manifest["row_counts"]:
            why = self.manifest["reason"] or "materialize it"
            cells = [Cell("", "", "not computed", f"{len(rows)} rows")]
            self.found.find(name, cells, f"the table was not computed: {why}")
            return
        live, table = self._live(name), self.reader.table(name)
        parts, standing = self._parts(name, live), in_force(name, live)
        rows = rows.assign(**{c: v for c, v in lineage_of(known, name).items() if c not in rows})
        if fingerprints(table, rows) == fingerprints(table, standing):
            differences = []
        else:
            differences = compare_derived(known, name, live, rows)
        versions, same = set(standing["calc_version"]), _knowledge(standing) == _knowledge(rows)
        cause = cause_in_derived(name, versions, same_input=same, **parts.any())
        for each in differences:
            self.found.find_difference(each, cause)
        uncompared = set(retired_versions(name)) if differences else parts.changed
        self._changed_only(name, parts.changed & uncompared)

    def _aggregate(self) -> None:
        """Verify TimescaleDB's own sums, where there are any and they had time to be refreshed."""
        names = "venue_volume", "symbol_summary"
        inputs, rows = (self.reader.lineage(name, self.week) for name in names)
        summed = weekly_summary(self.reader.connection, self.reader.dataset, self.week)
        settled = datetime.now(UTC) - REFRESHED_WITHIN
        if summed is None or not rows:
            return
        if any(each["pruned_at"] or each["written_at"] > settled for each in inputs):
            return
        self.found.rows[WEEKLY_SUMMARY.name] = len(summed)
        for each in compare_aggregate(self.reader, self.week, summed):
            self.found.find_difference(each, OLD_AGGREGATE)

    def _live(self, name: str) -> pd.DataFrame:
        """Return what the store has of a table, without who wrote it and when."""
        columns = content_of(self.reader.table(name))
        live = self.reader.frame(name, self.week, columns, fresh=True)
        self.found.rows[name] = len(live)
        return live

    def _parts(self, name: str, live: pd.DataFrame) -> "Parts":
        table, kept = self.reader.table(name), self.prints.get(name, {})
        now = fingerprints(table, live)
        if unprinted := now.keys() - kept.keys():
            self.found.unprinted.append(name)
        none = fingerprint_of_nothing(table)
        changed = {part for part in kept if kept[part] != now.get(part, none)}
        return Parts(changed, set(unprinted))

    def _changed_only(self, name: str, parts: Collection[str]) -> None:
        """Add that rows changed, where no value shows it: in a column that nothing recomputes."""
        table = self.reader.table(name)
        now = fingerprints(table, self._live(name)) if parts else {}
        column = part_column(table)
        cells = [
            Cell(f"{column} {part}", "fingerprint", now.get(part, "none"), self.prints[name][part])
            for part in sorted(parts)
        ]
        self.found.find(name, cells, CHANGED_ROWS)


@dataclass(frozen=True)
class Parts:
    """Of a table of a slice: which revisions, or versions, changed or have no fingerprint yet."""

    changed: set[str]
    unprinted: set[str]

    def of(self, part: str) -> dict[str, bool]:
        """Say how one part stands."""
        return {"changed": part in self.changed, "unprinted": part in self.unprinted}

    def any(self) -> dict[str, bool]:
        """Say whether any part stands so."""
        return {"changed": bool(self.changed), "unprinted": bool(self.unprinted)}


class SparingReader(ArchiveReader):
    """Reads raw and rejects from the archive, and from the store where the archive is damaged."""

    def __init__(self, verification: SliceVerification) -> None:
        """Read in the transaction of a verification."""
        super().__init__(verification.reader, verification.contents)
        self._verification = verification
        self._of_rows: OrderedDict[Any, pd.DataFrame] = OrderedDict()

    @property
    def computed(self) -> OrderedDict[Any, pd.DataFrame]:
        """Nothing that is computed from the store's rows may stand for the archive's."""
        return self._of_rows if self._verification.damaged else super().computed

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
        if self._verification.content_of(week, equal["source_revision"]) is None:
            return self._verification.reader.frame(name, week, columns, fresh=True, **equal)
        return super().frame(name, week, columns, fresh=fresh, **equal)


def _knowledge(rows: pd.DataFrame) -> list[set[Any]]:
    """Return the revisions and the days that rows are of."""
    return [set(rows[name]) for name in ("source_revision", "as_of_date")]
