"""The researchers' dashboard: which slices are there, how good they are, how fresh it all is."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import GREEN, ORANGE, RED, YELLOW, bars, lines, matrix, numbers, row
from otc_assets.domain.quality import GRADES
from otc_assets.monitoring.catalog import WEEKS_SHOWN

D = 'dataset=~"$dataset"'
TIER = "{{dataset}} {{tier}}"
COLOURS = dict(zip("ABCDF", (GREEN, GREEN, YELLOW, ORANGE, RED), strict=True))
GREATEST = [1.0, *(round(least - 0.000001, 6) for least, _ in GRADES[:-1])]
"""The greatest score of each grade; scores have six decimals."""
BY_GRADE = tuple(
    (least, greatest, letter, COLOURS[letter])
    for (least, letter), greatest in zip(GRADES, GREATEST, strict=True)
)


def fill(board: dashboard.Dashboard) -> None:
    """Add every row and panel."""
    _latest(board)
    _coverage(board)
    _content(board)


def _latest(board: dashboard.Dashboard) -> None:
    board.with_row(row("Latest data"))
    for panel in (
        numbers(
            "Newest period",
            "What names the newest period in the store: the Friday of a week, the first day of a "
            "month, or the day.",
            "time:YYYY-MM-DD",
            (f"1000 * otc_latest_week_timestamp{{{D}}}", TIER),
            span=12,
        ),
        numbers(
            "Freshness",
            "How long ago anything of a tier was written: a file taken in, or a table computed.",
            "s",
            (f"time() - otc_last_write_timestamp_seconds{{{D}}}", TIER),
            span=12,
        ),
        bars(
            "Newest period's records",
            "Records (venue by symbol) of the newest period, and the average of the five before.",
            "short",
            (f"otc_latest_week_records{{{D}}}", TIER),
            (f"otc_usual_week_records{{{D}}}", TIER + " usually"),
        ),
        bars(
            "Symbols that the newest period lacks",
            "Symbols that traded in the period before and not in the newest one.",
            "short",
            (f"otc_missing_symbols{{{D}}}", TIER),
        ),
        lines(
            "Slices taken in",
            "Slices of which a file was taken in, since the store was created.",
            "short",
            (f"otc_weeks_ingested_total{{{D}}}", TIER),
        ),
    ):
        board.with_panel(panel)


def _coverage(board: dashboard.Dashboard) -> None:
    title = f"Coverage and grades of $dataset, the newest {WEEKS_SHOWN} due periods"
    board.with_row(row(title, of_each="dataset"))
    board.with_panel(
        matrix(
            "Coverage",
            "Which weeks (or months, or days) of which tiers are in the store.",
            f"min by (week, tier) (otc_week_loaded{{{D}}})",
            ((1, 1, "loaded", GREEN), (0, 0, "lacking", RED)),
        )
    )
    board.with_panel(
        matrix(
            "Grades",
            "The grade of each of them: 1 less the penalties of the quality rules that fail. A "
            "from 0.9, B from 0.8, C from 0.7, D from 0.5, F below.",
            f"min by (week, tier) (otc_quality_score{{{D}}})",
            BY_GRADE,
        )
    )


def _content(board: dashboard.Dashboard) -> None:
    board.with_row(row("What is in the store"))
    for panel in (
        bars(
            "Slices by grade",
            "How many slices (one tier in one week, month or day) have each grade.",
            "short",
            (f"sum by (dataset, grade) (otc_slices_graded{{{D}}})", "{{dataset}} {{grade}}"),
        ),
        bars(
            "Corrections",
            "Files that corrected a slice which the store had already. Every revision is kept.",
            "short",
            (f"otc_revisions_total{{{D}}}", TIER),
        ),
        bars(
            "Records of a file",
            "Average number of records of the files that were taken in.",
            "short",
            (f"otc_records_per_week_sum{{{D}}} / otc_records_per_week_count{{{D}}}", TIER),
        ),
    ):
        board.with_panel(panel)
