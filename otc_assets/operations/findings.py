"""What `verify` finds in a slice: where, both values, and what probably is the cause."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otc_assets.calculations import calculations_of
from otc_assets.domain.grains import SliceKey
from otc_assets.operations.recompute import NO_ROW, Cell, Difference

CHANGED_ROWS = (
    "the rows were changed after they were written: the manifest's fingerprint is not theirs"
)
CHANGED_BYTES = "the archived bytes changed: their SHA-256 is not that of their key"
NO_BYTES = (
    "the archive has no such file: it was deleted, or OTC_ARCHIVE_URL is not this store's archive"
)
NO_FINGERPRINT = (
    "the rows were changed, or the code gives other values than the code that wrote them; no "
    "fingerprint tells which, because a version without fingerprints wrote these rows"
)
OTHER_READING = (
    "the rows are as they were written: this code reads the file differently from the code that "
    "wrote them"
)
OTHER_VALUES = (
    "the rows are as they were written: this code, or a library under it, gives other values under "
    "the same calc_version"
)
OTHER_INPUT = (
    "the rows are as they were written, from other revisions than the store now has: materialize "
    "the table again, unless a run is just refreshing it"
)
LACKING_ROWS = "raw lacks the rows of a revision: they were deleted after they were written"
LACKING_REVISION = "raw and revisions lack a revision that the manifest has a fingerprint of"
LOST_ROWS = (
    "not verified: retention has removed rows that this slice is computed from, and the file that "
    "gives them again cannot be read"
)
CHANGED_MANIFEST = "the manifest was changed after it was written"
CHANGED_REVISION = "the row of revisions was changed, or this code reads the file differently"

OLD_AGGREGATE = (
    "TimescaleDB's aggregate is not the sum of the slice: its refresh policy did not run since the "
    "slice was written, or the aggregate was changed by hand"
)


@dataclass(frozen=True)
class Finding:
    """One value that is not what it should be, or a row or a table that only one side has."""

    dataset: str
    tier: str
    week_ending: str
    table: str
    """A table of the store, or ``archive``."""
    key: str
    """What identifies the row; of the archive, the file's key."""
    column: str
    """Empty where a whole row or table is lacking, or more rows differ than are listed."""
    stored: str
    recomputed: str
    cause: str


@dataclass
class Verified:
    """What was verified of one slice, and what differs."""

    dataset: str
    week: SliceKey
    rows: dict[str, int] = field(default_factory=dict)
    """Of each table, how many rows were compared."""
    unprinted: list[str] = field(default_factory=list)
    """Tables of which rows have no fingerprint yet."""
    findings: list[Finding] = field(default_factory=list)

    def find(
        self, table: str, cells: Iterable[Cell], cause: str, week: SliceKey | None = None
    ) -> None:
        """Add what differs in a table (of another slice: of ``week``), for one cause."""
        week = week or self.week
        where = self.dataset, str(week.section), str(week.period)
        for cell in cells:
            value = cell.key, cell.column, _number(cell.live), _number(cell.rebuilt)
            self.findings.append(Finding(*where, table, *value, cause))

    def find_difference(self, difference: Difference, cause: str) -> None:
        """Add a difference, and how many rows differ beyond those that are listed."""
        self.find(difference.table, difference.cells, cause)
        shown = len({cell.key for cell in difference.cells})
        if more := difference.total - shown:
            self.find(difference.table, [Cell(f"{more} more rows", "", "", "")], cause)


def cause_in_raw(*, changed: bool, unprinted: bool) -> str:
    """Say why rows of raw or rejects are not what the archive's file gives."""
    if changed:
        return CHANGED_ROWS
    return NO_FINGERPRINT if unprinted else OTHER_READING


def cause_in_derived(
    name: str,
    stored_versions: Collection[str],
    *,
    same_input: bool,
    changed: bool,
    unprinted: bool,
) -> str:
    """Say why the rows of a derived table are not what the code computes."""
    if changed:
        return CHANGED_ROWS
    current = {calc.spec.version for calc in calculations_of(name)}
    if stored_versions and current != set(stored_versions):
        return (
            f"calc_version differs: the rows are of {', '.join(sorted(stored_versions))}, this "
            f"code computes {', '.join(sorted(current))}; materialize the table again"
        )
    if not same_input:
        return OTHER_INPUT
    return NO_FINGERPRINT if unprinted else OTHER_VALUES


def missing_rows(number: int, rows: int) -> Cell:
    """Return that raw has no row of a revision, whose file gives some."""
    return Cell(f"source_revision {number}", "", "no rows", f"{rows} rows")


def missing_revisions(prints: Mapping[str, str], numbers: Sequence[int]) -> list[Cell]:
    """Return the revisions that have a fingerprint, and are in the store no longer."""
    lacking = set(prints) - {str(number) for number in numbers}
    return [Cell(f"source_revision {number}", "", NO_ROW, "row") for number in sorted(lacking)]


def manifest_cells(
    manifest: Mapping[str, Any], newest: Mapping[str, Any], rows: Mapping[str, int]
) -> list[Cell]:
    """Return what the manifest says otherwise of the newest revision and of computed rows."""
    names = ("source_revision", "source_file", "source_sha256", "source_bytes", "revision_date")
    pairs = {name: (manifest[name], newest[name]) for name in names}
    counts = manifest["row_counts"]
    pairs |= {f"row_counts.{name}": (counts[name], n) for name, n in rows.items() if name in counts}
    return [Cell("", name, str(a), str(b)) for name, (a, b) in pairs.items() if a != b]


def _number(text: str) -> str:
    """Write a whole number as such."""
    return text.removesuffix(".0")


def told(found: Sequence[Verified]) -> str:
    """Say in a line or two how much was verified, and how much of it differs."""
    if not found:
        return "no slice that is in the store was asked for"
    tables = sum(len(each.rows) for each in found)
    rows = sum(count for each in found for count in each.rows.values())
    unprinted = sum(len(each.unprinted) for each in found)
    differ = sum(bool(each.findings) for each in found)
    verdict = f"{differ} of them differ" if differ else "all are what the archive gives"
    lines = [f"{len(found)} slices, {tables} tables, {rows:,} rows verified: {verdict}"]
    if unprinted:
        lines.append(
            f"{unprinted} tables have no fingerprint yet, and get one when they are written again"
        )
    return "\n".join(lines)
