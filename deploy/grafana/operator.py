"""The operator's dashboard: whether the pipeline runs, is late, fails, and what it uses."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import ORANGE, RED, bars, lines, numbers, row
from otc_assets.domain.gaps import CRITICAL_AFTER_DAYS, WARNING_AFTER_DAYS

D = 'dataset=~"$dataset"'
TIER = "{{dataset}} {{tier}}"
LATE = ((WARNING_AFTER_DAYS + 0.5, ORANGE), (CRITICAL_AFTER_DAYS + 0.5, RED))
ANY = ((1, RED),)
HOUR, DAY = 3600, 86400


def fill(board: dashboard.Dashboard) -> None:
    """Add every row and panel."""
    _status(board)
    _lag(board)
    _pipeline(board)
    _errors(board)
    _finra(board)
    _resources(board)


def _status(board: dashboard.Dashboard) -> None:
    board.with_row(row("Status"))
    for panel in (
        numbers(
            "Alerts firing",
            "Alerts of otc_assets that fire now; docs/alerts.md explains each.",
            "short",
            ('count(ALERTS{alertname=~"Otc.*",alertstate="firing"}) or vector(0)', "alerts"),
            steps=ANY,
        ),
        numbers(
            "Readable",
            "Whether the exporter could read the store and Dagster's storage. If not, the metrics "
            "of that part are absent.",
            "short",
            ("otc_readable", "{{part}}"),
            words={"1": ("yes", "green"), "0": ("no", RED)},
        ),
        numbers(
            "Slices lacking",
            "Weeks, months and days that FINRA has published by its calendar and that the store "
            "lacks.",
            "short",
            (f"sum by (dataset) (otc_weeks_missing{{{D}}})", "{{dataset}}"),
            steps=((1, ORANGE),),
        ),
        numbers(
            "Dead letters",
            "Slices that could not be taken in; each keeps the rows that it had.",
            "short",
            (f"sum by (dataset) (otc_dead_letters{{{D}}})", "{{dataset}}"),
            steps=ANY,
        ),
        numbers(
            "Running",
            "Dagster's runs that are going on now.",
            "short",
            ('sum(otc_runs{status=~"starting|started"})', "runs"),
        ),
        numbers(
            "Version",
            "The exporter's version and commit, and the schema of the store.",
            "short",
            ("otc_build_info", "{{version}} {{commit}}, schema {{schema}}"),
            shows_names=True,
        ),
    ):
        board.with_panel(panel)


def _lag(board: dashboard.Dashboard) -> None:
    board.with_row(row("Lag"))
    for panel in (
        lines(
            "Ingestion lag by tier",
            "Days past the expected publication of the first slice after the newest one in the "
            "store. Critical above 7.",
            "d",
            (f"otc_ingestion_lag_days{{{D}}}", TIER),
            steps=LATE[1:],
        ),
        lines(
            "Oldest missing slice by tier",
            "Days past the expected publication of the slice that lacks longest, interior ones "
            "included. Warning above 3, critical above 7.",
            "d",
            (f"otc_oldest_gap_days{{{D}}}", TIER),
            steps=LATE,
        ),
        bars(
            "Slices by status",
            "Slices (one tier in one week, month or day) of the store: loaded, archived by "
            "retention, missing at the source, no longer offered, not due, refused.",
            "short",
            (f"sum by (dataset, status) (otc_slices{{{D}}})", "{{dataset}} {{status}}"),
        ),
    ):
        board.with_panel(panel)


def _pipeline(board: dashboard.Dashboard) -> None:
    board.with_row(row("Runs, sensors and schedules"))
    for panel in (
        bars(
            "Runs by status",
            "All of Dagster's runs that are kept, by how they ended or stand.",
            "short",
            ("otc_runs", "{{status}}"),
        ),
        lines(
            "Queue",
            "Runs that wait, and runs that are going on. A queue that only grows has no daemon.",
            "short",
            ('otc_runs{status=~"queued|starting|started"}', "{{status}}"),
            stacked=True,
        ),
        lines(
            "Oldest run in progress",
            "Since when the oldest queued, starting or started run is so. Warning above two hours.",
            "s",
            ("time() - otc_oldest_run_timestamp_seconds", "{{status}}"),
            steps=((2 * HOUR, ORANGE),),
        ),
        bars(
            "Job's last success",
            "How long ago each job succeeded last. A job that never did is not there. Corrections "
            "run Monday to Friday, the watch every day.",
            "s",
            ("time() - otc_job_last_success_timestamp_seconds", "{{dagster_job}}"),
        ),
        lines(
            "Sensor's ticks of the last hour",
            "What came of each look at the source. `skipped` is normal: nothing is new.",
            "short",
            ("otc_sensor_ticks", "{{sensor}} {{status}}"),
            stacked=True,
        ),
        bars(
            "Last sign of life",
            "How long ago each sensor ticked and each daemon of Dagster was heard of.",
            "s",
            ("time() - otc_sensor_last_tick_timestamp_seconds", "{{sensor}}"),
            ("time() - otc_daemon_heartbeat_timestamp_seconds", "daemon {{daemon}}"),
            steps=((HOUR / 4, ORANGE), (HOUR, RED)),
        ),
    ):
        board.with_panel(panel)


def _errors(board: dashboard.Dashboard) -> None:
    board.with_row(row("Errors"))
    share = "sum by (dataset, tier, status) (otc_records_parsed_total{%s}) / on (dataset, tier) "
    share += "group_left () sum by (dataset, tier) (otc_records_parsed_total{%s})"
    for panel in (
        lines(
            "Share of refused and repeated lines",
            "Of all lines ever parsed, the share that was refused (error) or repeats another one "
            "exactly (skipped).",
            "percentunit",
            (share % (f'{D},status!="success"', D), TIER + " {{status}}"),
        ),
        bars(
            "Refused lines by reason",
            "Lines that could not be taken, by reason code; docs/tables.md explains the codes. "
            "Each is kept in table rejects.",
            "short",
            (f"sum by (reason) (otc_rejects_total{{{D}}})", "{{reason}}"),
        ),
        bars(
            "Rules that failed, ever",
            "How often each quality rule failed unexpectedly when a slice was graded; the ten that "
            "failed most.",
            "short",
            (
                f"topk(10, sum by (check_name) (otc_validation_failures_total{{{D}}}))",
                "{{check_name}}",
            ),
        ),
        lines(
            "Rules that fail now",
            "Quality rules that fail on what is in the store, known anomalies aside.",
            "short",
            (f"sum by (dataset, severity) (otc_checks_failed{{{D}}})", "{{dataset}} {{severity}}"),
        ),
        lines(
            "Oldest dead letter",
            "How long ago the slice failed that waits longest. Warning after a day.",
            "s",
            (f"time() - otc_oldest_dead_letter_timestamp_seconds{{{D}}}", TIER),
            steps=((DAY, ORANGE),),
        ),
        lines(
            "Exact repeats",
            "Lines that a file has more than once, or that the store has already; they are counted "
            "and not stored again.",
            "short",
            (f"otc_duplicate_records_total{{{D}}}", TIER),
        ),
    ):
        board.with_panel(panel)


def _finra(board: dashboard.Dashboard) -> None:
    board.with_row(row("FINRA"))
    requests = "otc_finra_request_duration_seconds"
    for panel in (
        lines(
            "FINRA's answers",
            "Requests a second by outcome: ok, an HTTP status (429: too many), or network.",
            "reqps",
            (f"sum by (outcome) (rate({requests}_count[$__rate_interval]))", "{{outcome}}"),
            span=12,
            stacked=True,
        ),
        lines(
            "FINRA's time to answer",
            "Average by outcome; a gap where nothing was asked.",
            "s",
            (
                f"sum by (outcome) (rate({requests}_sum[$__rate_interval]))"
                f" / sum by (outcome) (rate({requests}_count[$__rate_interval]))",
                "{{outcome}}",
            ),
            span=12,
        ),
        lines(
            "FINRA's volume this month",
            "Bytes received since the first of the month (UTC), and how many may be; history stops "
            "at 80 % of them.",
            "decbytes",
            ("otc_finra_received_bytes_this_month", "received"),
            ("otc_finra_bytes_per_month", "limit"),
            span=12,
        ),
        bars(
            "Slices no longer offered",
            "Slices that are due, not in the store, and dropped by FINRA: only files have them. "
            "None of them is missing.",
            "short",
            (f"sum by (dataset) (otc_weeks_no_longer_offered{{{D}}})", "{{dataset}}"),
            span=12,
        ),
    ):
        board.with_panel(panel)


def _resources(board: dashboard.Dashboard) -> None:
    board.with_row(row("Work and resources"))
    ingest, summary = "otc_ingest_duration_seconds", "otc_summary_duration_seconds"
    for panel in (
        lines(
            "Rows written",
            "Rows a second by table.",
            "rowsps",
            (
                f"sum by (table) (rate(otc_rows_written_total{{{D}}}[$__rate_interval]))",
                "{{table}}",
            ),
            stacked=True,
        ),
        lines(
            "Time to take a file in",
            "From the bytes to the committed rows of a slice: half of the files took no longer, "
            "and 95 of 100.",
            "s",
            (f"histogram_quantile(0.5, sum by (le) ({ingest}_bucket{{{D}}}))", "half"),
            (f"histogram_quantile(0.95, sum by (le) ({ingest}_bucket{{{D}}}))", "95 %"),
        ),
        lines(
            "Time to compute a table",
            "Average for one slice, by table.",
            "s",
            (
                f"sum by (table) ({summary}_sum{{{D}}}) / sum by (table) ({summary}_count{{{D}}})",
                "{{table}}",
            ),
        ),
        lines(
            "Files taken in",
            "Files of each dataset, and how many of them were corrections.",
            "short",
            (f"sum by (dataset) (otc_files_ingested_total{{{D}}})", "{{dataset}} files"),
            (f"sum by (dataset) (otc_revisions_total{{{D}}})", "{{dataset}} corrections"),
            span=6,
        ),
        lines(
            "Store and archive",
            "The size of the store, and all bytes that the archive was ever given.",
            "bytes",
            ("otc_store_bytes", "store"),
            (f"sum(otc_archived_bytes_total{{{D}}})", "archived"),
            span=6,
        ),
        lines(
            "Room on the store's disk",
            "Of SQLite; a server does not say. A warning if the last day's trend fills the disk "
            "within a week.",
            "bytes",
            ("otc_store_free_bytes", "free"),
            span=6,
        ),
        numbers(
            "Age",
            "When the store was created, and when the archive was last copied (if that is known). "
            "A copy older than a week is a warning.",
            "s",
            ("time() - otc_store_created_timestamp_seconds", "store"),
            ("time() - otc_archive_backup_timestamp_seconds", "archive's backup"),
            span=6,
        ).height(8),
    ):
        board.with_panel(panel)
