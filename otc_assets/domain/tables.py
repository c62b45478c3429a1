"""What a table is: one description gives its DDL, its column schema in the UI, docs and checks.

The tables of calculations are described beside their formula, in `otc_assets.calculations`; here
are the parts they share, and the tables that no calculation fills.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache


class ColumnType(StrEnum):
    """The kinds of value. `otc_assets.warehouse.schema` gives the SQL type of each."""

    TEXT = "text"
    DATE = "date"
    SHARES = "shares"
    """An exact quantity of shares; in frames int64 millionths (`otc_assets.domain.shares`)."""
    DOLLARS = "dollars"
    """An exact amount; in frames millionths, as shares."""
    COUNT = "count"
    NUMBER = "number"
    FLAG = "flag"
    HASH = "hash"
    """16 bytes."""
    TIMESTAMP = "timestamp"
    """UTC."""
    JSON = "json"


EXACT = (ColumnType.SHARES, ColumnType.DOLLARS)
"""Fixed point in frames, decimal numbers in the store."""


@dataclass(frozen=True)
class Column:
    """One column: its name, type and meaning, and the columns that it is computed from."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    sources: tuple[str, ...] = ()
    """``table.column`` of each input, for the column lineage in the UI."""
    is_name: bool = False
    """Whether its texts come again in many rows: the store keeps each once, in `NAMES`."""


@dataclass(frozen=True)
class Table:
    """A table of the store; its rows belong to slices, and ``key`` identifies one of them."""

    name: str
    grain: str
    """Completes 'one row per ...'."""
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    period: str = "week"
    """What the period of a slice is called, in the names of its rules too."""
    equal_versions: tuple[tuple[str, str], ...] = ()
    """Each ``calc_version`` that promises the values of an older one: (older, newer)."""

    def column(self, name: str) -> Column:
        """Return the column of that name (KeyError if there is none)."""
        return {column.name: column for column in self.columns}[name]


WEEK = Column("week_ending", ColumnType.DATE, "Friday of the reported week.")
"""Names the period of a slice. In the tables of another grain, `of_period` puts its own column."""
TIER = Column("tier", ColumnType.TEXT, "FINRA tier: NMS Tier 1, NMS Tier 2 or OTC.")
OTHER_TIER = Column(
    "tier", ColumnType.TEXT, "NMS or OTC; all, of data that FINRA does not part by tier."
)
"""The same in tables of another grain."""
SLICE = (WEEK, TIER)

SYMBOL = Column("symbol", ColumnType.TEXT, "Issue symbol, exactly as FINRA writes it.")
MPID = Column(
    "mpid",
    ColumnType.TEXT,
    "Venue: its market participant identifier; in non-ATS data, which have none, the firm's CRD "
    "number and name.",
)

SOURCE_REVISION = Column(
    "source_revision", ColumnType.COUNT, "Our number of the slice's content; 1 is the first."
)
SOURCE = Column("source", ColumnType.TEXT, "Where the file came from: files or finra.")
SOURCE_FILE = Column("source_file", ColumnType.TEXT, "Name of the source file.")
SOURCE_SHA256 = Column("source_sha256", ColumnType.TEXT, "SHA-256 of the file's bytes, hex.")
PUBLICATION_DATE = Column(
    "publication_date", ColumnType.DATE, "When FINRA first made the week public."
)
REVISION_DATE = Column("revision_date", ColumnType.DATE, "When FINRA last changed the row.")
LINE_NUMBER = Column(
    "line_number", ColumnType.COUNT, "Line in the source file; the header is line 1."
)
CALC_NAME = Column("calc_name", ColumnType.TEXT, "Calculation that gave the row.")
CALC_VERSION = Column("calc_version", ColumnType.TEXT, "Version of that calculation.")
RUN = (
    Column("execution_id", ColumnType.TEXT, "Dagster run that wrote the row."),
    Column("batch_id", ColumnType.TEXT, "Atomic write of one slice that the row belongs to."),
    Column("correlation_id", ColumnType.TEXT, "Backfill, or root run, that the write is part of."),
)
INGESTED_AT = Column("ingested_at", ColumnType.TIMESTAMP, "When we stored the row.")
COMPUTED_AT = Column("computed_at", ColumnType.TIMESTAMP, "When we computed the row.")
AS_OF_DATE = Column(
    "as_of_date",
    ColumnType.DATE,
    "Day on which FINRA made the newest input public: the row is knowledge from its end on.",
)
DERIVED_LINEAGE = (
    CALC_NAME,
    CALC_VERSION,
    AS_OF_DATE,
    SOURCE_REVISION,
    *RUN,
    COMPUTED_AT,
)
"""What every derived table ends with."""

ISSUE_NAME = Column(
    "issue_name", ColumnType.TEXT, "Name of the issue.", nullable=True, is_name=True
)
VENUE_NAME = Column(
    "venue_name", ColumnType.TEXT, "Name of the venue.", nullable=True, is_name=True
)

RAW_CONTENT = (
    SYMBOL,
    MPID,
    ISSUE_NAME,
    VENUE_NAME,
    Column("share_volume", ColumnType.SHARES, "Shares traded in the week."),
    Column("trade_count", ColumnType.COUNT, "Trades in the week."),
    Column(
        "product_type",
        ColumnType.TEXT,
        "FINRA's productTypeCode: UTP, CTS or OTCE.",
        nullable=True,
    ),
    Column("notional", ColumnType.DOLLARS, "Value traded in the week.", nullable=True),
    Column("firm_crd", ColumnType.TEXT, "CRD number of the venue's firm.", nullable=True),
    Column(
        "last_reported_date",
        ColumnType.DATE,
        "Last day of the week on which the venue reported the symbol (lastReportedDate).",
        nullable=True,
    ),
)
"""What a line of the weekly datasets says, beside its dates."""

RAW = Table(
    name="raw",
    grain="good source line of a revision",
    description="FINRA's records as they came, every revision kept. Refused lines are in rejects.",
    key=("week_ending", "tier", "source_revision", "line_number"),
    columns=(
        *SLICE,
        SOURCE_REVISION,
        LINE_NUMBER,
        *RAW_CONTENT,
        Column(
            "content_hash",
            ColumnType.HASH,
            "Start of SHA-256 of the row's whole content: tells a repeat from a revision.",
        ),
        SOURCE,
        SOURCE_FILE,
        SOURCE_SHA256,
        PUBLICATION_DATE,
        REVISION_DATE,
        *RUN,
        INGESTED_AT,
    ),
)


def raw_table(description: str, *content: Column) -> Table:
    """Return the table raw of a dataset whose lines have other columns than the weekly ones.

    Args:
        description: what its records are.
        content: the columns that come from a line, without its dates.

    """
    mine = [column for column in RAW.columns if column not in RAW_CONTENT]
    place = mine.index(LINE_NUMBER) + 1
    return replace(RAW, description=description, columns=(*mine[:place], *content, *mine[place:]))


REVISIONS = Table(
    name="revisions",
    grain="revision of a slice",
    description="Each content of a slice that the store has, and where its bytes are kept.",
    key=("week_ending", "tier", "source_revision"),
    columns=(
        *SLICE,
        SOURCE_REVISION,
        Column("content_sha256", ColumnType.TEXT, "SHA-256 over its lines in any order, hex."),
        PUBLICATION_DATE,
        Column(
            "revision_date", ColumnType.DATE, "When FINRA made this content public (newest row)."
        ),
        Column(
            "as_of_source",
            ColumnType.TEXT,
            "What revision_date rests on: finra (a date in the file), calendar (first publication "
            "by the calendar) or captured (only the day of our reading is known).",
        ),
        SOURCE,
        SOURCE_FILE,
        SOURCE_SHA256,
        Column("source_bytes", ColumnType.COUNT, "Size of the file in bytes."),
        Column("archive_key", ColumnType.TEXT, "Where the archive keeps the bytes."),
        Column("line_count", ColumnType.COUNT, "Lines in the file, without header and blanks."),
        Column("row_count", ColumnType.COUNT, "Lines in raw."),
        Column("reject_count", ColumnType.COUNT, "Lines in rejects, exact repeats aside."),
        Column("repeat_count", ColumnType.COUNT, "Exact repeats, which are in rejects too."),
        *RUN,
        INGESTED_AT,
    ),
)

REJECTS = Table(
    name="rejects",
    grain="refused source line of a revision",
    description="Lines that are not in raw, whole, with the reason.",
    key=("week_ending", "tier", "source_revision", "line_number"),
    columns=(
        *SLICE,
        SOURCE_REVISION,
        LINE_NUMBER,
        Column("reason_code", ColumnType.TEXT, "Why the line was refused."),
        Column("raw_line", ColumnType.TEXT, "The line as it came."),
        SOURCE_FILE,
        SOURCE_SHA256,
        *RUN,
        INGESTED_AT,
    ),
)

MANIFEST = Table(
    name="manifest",
    grain="slice",
    description="How each slice stands: its source, its revision, its rows per table, its grade.",
    key=("week_ending", "tier"),
    columns=(
        *SLICE,
        Column(
            "status",
            ColumnType.TEXT,
            "loaded, archived (loaded, and the archive alone keeps some of its rows), missing, "
            "no_longer_offered (FINRA has dropped it), not_due or refused.",
        ),
        Column("reason", ColumnType.TEXT, "Why it is not loaded, and what to do.", nullable=True),
        Column("stage", ColumnType.TEXT, "The table that was written last."),
        Column("row_counts", ColumnType.JSON, "Rows of the slice in each table."),
        Column(
            "fingerprints",
            ColumnType.JSON,
            "SHA-256 of the content of the slice's rows in each table, by revision (raw, rejects) "
            "or calc_version; null where a version without fingerprints wrote them.",
            nullable=True,
        ),
        Column("source_revision", ColumnType.COUNT, "Newest revision.", nullable=True),
        Column("source_file", ColumnType.TEXT, "Its source file.", nullable=True),
        Column("source_sha256", ColumnType.TEXT, "SHA-256 of its bytes, hex.", nullable=True),
        Column("source_bytes", ColumnType.COUNT, "Its size in bytes.", nullable=True),
        Column(
            "source_version",
            ColumnType.TEXT,
            "What the source offered of the slice when it was last read; null where it is to be "
            "read again.",
            nullable=True,
        ),
        Column("expected_publication_date", ColumnType.DATE, "By the calendar."),
        Column("revision_date", ColumnType.DATE, "When its content became public.", nullable=True),
        Column("quality_score", ColumnType.NUMBER, "0 (worst) to 1.", nullable=True),
        Column("quality_grade", ColumnType.TEXT, "A to F.", nullable=True),
        Column("quality_status", ColumnType.TEXT, "ok, warning or critical.", nullable=True),
        *RUN,
        Column("updated_at", ColumnType.TIMESTAMP, "When we last wrote anything of the slice."),
    ),
)

QUALITY_CHECKS = Table(
    name="quality_checks",
    grain="slice, table and rule",
    description="The newest verdict of every quality rule on every slice.",
    key=("week_ending", "tier", "table_name", "rule"),
    columns=(
        *SLICE,
        Column("table_name", ColumnType.TEXT, "Table that the rule looks at."),
        Column("rule", ColumnType.TEXT, "The truth that the rule asserts."),
        Column("passed", ColumnType.FLAG, "Whether it holds."),
        Column("severity", ColumnType.TEXT, "info, warning, error or critical."),
        Column("is_expected", ColumnType.FLAG, "A known anomaly, which costs no score."),
        Column("details", ColumnType.JSON, "The values that were found."),
        *RUN,
        Column("checked_at", ColumnType.TIMESTAMP, "When the rule was evaluated."),
    ),
)

EVENTS = Table(
    name="events",
    grain="event",
    description="What happened, in order, and why; of both datasets together. The database itself "
    "refuses to change, delete or truncate what is there.",
    key=("sequence",),
    columns=(
        Column("sequence", ColumnType.COUNT, "Order of all events of the store."),
        Column("event_id", ColumnType.TEXT, "Identity of the event (UUID, ordered by time)."),
        Column("event_type", ColumnType.TEXT, "What happened, for example CALCULATION_COMPLETED."),
        Column("aggregate_type", ColumnType.TEXT, "What it happened to: slice or file."),
        Column(
            "aggregate_id",
            ColumnType.TEXT,
            "Which one: a slice as ats NMS Tier 1:2025-05-16, a file by its SHA-256.",
        ),
        Column("payload", ColumnType.JSON, "The event's own facts."),
        Column(
            "metadata",
            ColumnType.JSON,
            "Who told of it: execution_id (Dagster run), batch_id, version of the code, and the "
            "seconds that it took to ingest or calculate.",
        ),
        Column("correlation_id", ColumnType.TEXT, "Backfill, or root run, that it is part of."),
        Column(
            "causation_id",
            ColumnType.TEXT,
            "The event that caused it, which has a smaller sequence; null for a first cause.",
            nullable=True,
        ),
        Column("created_at", ColumnType.TIMESTAMP, "When it happened."),
    ),
    indexes=(
        ("aggregate_type", "aggregate_id", "sequence"),
        ("event_type", "created_at"),
        ("causation_id",),
    ),
)
"""Of the whole store, and not of each dataset."""

REQUESTS = Table(
    name="finra_requests",
    grain="day, outcome and range of seconds",
    description="How many requests FINRA was sent, what it answered and how fast; of the whole "
    "store. The counts only grow.",
    key=("day", "outcome", "le"),
    columns=(
        Column("day", ColumnType.DATE, "When they were sent (UTC)."),
        Column("outcome", ColumnType.TEXT, "ok, another HTTP status such as 429, or network."),
        Column(
            "le",
            ColumnType.TEXT,
            "They took this many seconds or less, and more than the next lower one (Prometheus's "
            "name of a bucket's upper bound).",
        ),
        Column("requests", ColumnType.COUNT, "How many they are."),
        Column("seconds", ColumnType.NUMBER, "Seconds that they took together."),
        Column("received_bytes", ColumnType.COUNT, "Bytes of the answers, as they were sent."),
    ),
)

LISTINGS = Table(
    name="finra_listings",
    grain="set of FINRA's",
    description="Which weeks each of FINRA's sets had when it was last asked for its list; of the "
    "whole store. What is older, and in neither list of a dataset, FINRA no longer offers.",
    key=("set_name",),
    columns=(
        Column("set_name", ColumnType.TEXT, "weeklySummary or weeklySummaryHistoric."),
        Column("weeks", ColumnType.JSON, "The weeks of each tier, by their Friday."),
        Column("asked_on", ColumnType.DATE, "When FINRA was last asked (UTC)."),
    ),
)

DEAD_LETTERS = Table(
    name="dead_letters",
    grain="slice that could not be taken in",
    description="Slices that failed after all retries, until a later run takes them in.",
    key=("week_ending", "tier"),
    columns=(
        *SLICE,
        Column("error", ColumnType.TEXT, "What is wrong, and what to do."),
        Column("attempts", ColumnType.COUNT, "Runs that have failed on it, one after the other."),
        Column(
            "archive_key",
            ColumnType.TEXT,
            "Where the archive keeps the bytes that were refused; null if none came.",
            nullable=True,
        ),
        Column("first_failed_at", ColumnType.TIMESTAMP, "When the first of these runs failed."),
        *RUN,
        Column("failed_at", ColumnType.TIMESTAMP, "When the newest of them failed."),
    ),
)

INCIDENTS = Table(
    name="incidents",
    grain="incident",
    description="What is not well: since when, until when, and what each sink of OTC_NOTIFY_URL "
    "was told of it; of both datasets together. One subject has one open incident.",
    key=("incident_id",),
    columns=(
        Column("incident_id", ColumnType.TEXT, "Identity (UUID, ordered by time)."),
        Column("kind", ColumnType.TEXT, "slice, or job: a job whose run failed."),
        Column(
            "subject", ColumnType.TEXT, "A slice as ats NMS Tier 1:2025-05-16, a job by its name."
        ),
        Column("dataset", ColumnType.TEXT, "ats or non_ats; null of both.", nullable=True),
        Column("severity", ColumnType.TEXT, "warning or critical, as it is now."),
        Column("reason", ColumnType.TEXT, "What is wrong."),
        Column("run_id", ColumnType.TEXT, "Dagster run that found it.", nullable=True),
        Column(
            "undone",
            ColumnType.JSON,
            "Of a job: what its failed runs were to do and no run has done since: slices, or the "
            "job's name where a run has no partitions.",
        ),
        Column("opened_at", ColumnType.TIMESTAMP, "When it was first found."),
        Column("resolved_at", ColumnType.TIMESTAMP, "When it was over.", nullable=True),
        Column(
            "told",
            ColumnType.JSON,
            "What each sink took last, by the hash of its URL: warning, critical or over; empty if "
            "it was asked in vain.",
        ),
        Column(
            "claimed_until",
            ColumnType.TIMESTAMP,
            "Until then another process tells of it.",
            nullable=True,
        ),
    ),
)
"""Of the whole store, as `EVENTS`."""

NAMES = Table(
    name="names",
    grain="name of an issue or a venue",
    description="Names that many rows have, kept once; of the whole store. The rows of `raw` "
    "(`raw_rows`) have a name's number where the view `raw` shows the name. A name stays when the "
    "last row that has it is gone.",
    key=("number",),
    columns=(
        Column("number", ColumnType.COUNT, "What rows have instead of the name; not without gaps."),
        Column("name", ColumnType.TEXT, "The name, exactly as FINRA writes it."),
        Column(
            "name_hash",
            ColumnType.HASH,
            "Start of its SHA-256, by which each is there once: PostgreSQL has no index over texts "
            "of any length.",
        ),
    ),
)
"""Of the whole store, as `EVENTS`."""

LINEAGE = Table(
    name="lineage",
    grain="lineage that rows of one table of a slice share",
    description="What thousands of rows have in common, kept once: slice, source, revision, "
    "calculation, write. The tables that show it as columns of each row are views of their rows "
    "(`raw_rows`) and this.",
    key=("slice", "lineage_number"),
    columns=(
        Column(
            "slice",
            ColumnType.COUNT,
            "The slice as a number: week_ending as YYYYMMDD, then 1 to 3 for the tier.",
        ),
        Column("lineage_number", ColumnType.COUNT, "Counts up within the slice."),
        Column("table_name", ColumnType.TEXT, "Table whose rows they are."),
        Column("row_count", ColumnType.COUNT, "How many they are."),
        Column(
            "pruned_at",
            ColumnType.TIMESTAMP,
            "When retention removed the rows, which the archive's bytes give again; null while "
            "they are in the store.",
            nullable=True,
        ),
        *SLICE,
        SOURCE_REVISION,
        *(
            replace(column, nullable=True)
            for column in (
                SOURCE,
                SOURCE_FILE,
                SOURCE_SHA256,
                PUBLICATION_DATE,
                REVISION_DATE,
                CALC_NAME,
                CALC_VERSION,
                AS_OF_DATE,
            )
        ),
        *RUN,
        Column("written_at", ColumnType.TIMESTAMP, "When we stored or computed them."),
    ),
    indexes=(("week_ending", "tier"),),
)
LINEAGE_COLUMN = {c.name: c.name for c in LINEAGE.columns} | {
    INGESTED_AT.name: "written_at",
    COMPUTED_AT.name: "written_at",
}
"""Each column that a table's rows have from `LINEAGE`, and its name there."""


def from_lineage(table: Table) -> dict[str, str]:
    """Return the same of a table of any grain, whose key begins with its period."""
    period = table.key[0]
    return LINEAGE_COLUMN | {period: period}


STORE_TABLES = (RAW, REVISIONS, REJECTS, MANIFEST, QUALITY_CHECKS, DEAD_LETTERS, LINEAGE)
"""The tables of each dataset that no calculation fills."""


@cache
def of_period(table: Table, period: Column, grain: str) -> Table:
    """Return a table whose slices are named by another column than `WEEK`.

    Args:
        table: as it is described here, by weeks.
        period: the column that names a period.
        grain: what a period is called.

    """

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(period.name if name == WEEK.name else name for name in names)

    def of_source(name: str) -> str:
        source, column = name.split(".")
        return f"{source}.{renamed((column,))[0]}"

    def of_column(column: Column) -> Column:
        if column in SLICE:
            return period if column == WEEK else OTHER_TIER
        return replace(
            column,
            description=column.description.replace("the week", f"the {grain}"),
            sources=tuple(map(of_source, column.sources)),
        )

    return replace(
        table,
        period=grain,
        grain=table.grain.replace("(week, ", f"({grain}, "),
        key=renamed(table.key),
        columns=tuple(map(of_column, table.columns)),
        indexes=tuple(renamed(names) for names in table.indexes),
    )


_LINEAGE_OF_RAW = {
    column.name
    for column in (
        *SLICE,
        SOURCE_REVISION,
        LINE_NUMBER,
        SOURCE,
        SOURCE_FILE,
        SOURCE_SHA256,
        *RUN,
        INGESTED_AT,
    )
}


def content_columns(raw: Table) -> tuple[Column, ...]:
    """Return the columns of a raw table that come from a line of its source."""
    period = raw.key[0]
    return tuple(
        column
        for column in raw.columns
        if column.name not in {period, *_LINEAGE_OF_RAW} and column.type is not ColumnType.HASH
    )
