"""Two checks on FINRA as seen from here: every due week is there, and none has failed for good.

They judge all slices at once, so they are no part of a range's run; a job of their own runs them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from otc_assets.assets.partitions import partition_key_of, publications_key
from otc_assets.assets.platform import Platform, run_ids
from otc_assets.assets.traces import step
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import dropped, gaps, lag_days
from otc_assets.domain.quality import Severity
from otc_assets.operations.incidents import reconcile
from otc_assets.operations.offers import let_go
from otc_assets.sources.errors import SourceError

PARTITION_TAGS = {"dagster/partition", "dagster/asset_partition_range_start"}
"""Of a run that does slices, which other slices may not fail."""
SHOWN = 50
"""Rows of a table in the UI."""


def build_watch_checks(dataset: Dataset) -> list[dg.AssetChecksDefinition]:
    """Return the checks on a dataset's publications."""
    return [_every_due_week_is_there(dataset), _no_slice_is_dead(dataset)]


def _every_due_week_is_there(dataset: Dataset) -> dg.AssetChecksDefinition:
    periods = f"{dataset.grain.name}s"

    @dg.asset_check(  # type: ignore[arg-type]  # its stub knows of no generator
        asset=publications_key(dataset),
        description="Every week that FINRA should have published by its calendar is in the store, "
        "between the weeks there are and after them, in every tier. More than 3 days late is a "
        "warning, more than 7 critical. A week that FINRA no longer offers is told of, and is "
        "neither; one of its historic set waits for `otc fetch-history`, and is not late.",
    )
    @step
    def every_due_week_is_there(
        context: dg.AssetCheckExecutionContext, platform: Platform
    ) -> Iterable[Any]:
        look_at_listings(context, platform, dataset)
        with platform.warehouse(dataset).read() as reader:
            loaded, offers = reader.loaded_slices(), reader.offers()
        _write_down(context, platform, dataset)
        found = gaps(dataset, loaded, today(), offers)
        gone = dropped(dataset, loaded, today(), offers)
        late = [gap for gap in found if gap.severity is not Severity.INFO]
        grave = [gap for gap in late if gap.severity is Severity.CRITICAL]
        rows = [
            {
                "slice": partition_key_of(gap.week),
                "expected": str(gap.expected_publication_date),
                "days late": gap.days_late,
                "severity": gap.severity.value,
            }
            for gap in found
        ]
        yield dg.AssetCheckResult(
            passed=not late,
            severity=dg.AssetCheckSeverity.ERROR if grave else dg.AssetCheckSeverity.WARN,
            description=f"{len(found)} due {periods} are lacking, {len(grave)} over 7 days late"
            + (f"; {len(gone)} are no longer offered by FINRA" if gone else ""),
            metadata={
                "gaps": table_of(rows),
                "gap_count": len(found),
                "no longer offered": table_of([{"slice": partition_key_of(w)} for w in gone]),
                "no_longer_offered_count": len(gone),
                "gaps_over_3_days": len(late),
                "gaps_over_7_days": len(grave),
                **{f"lag of {t}, days": n for t, n in lag_days(dataset, loaded, found).items()},
            },
        )
        if grave and not context.run.tags.keys() & PARTITION_TAGS:
            raise dg.Failure(
                f"{len(grave)} {dataset.title} {periods} are over 7 days late; to have them: "
                f"dagster job execute -m otc_assets.definitions -j {dataset.name}_fill_gaps"
            )

    return every_due_week_is_there


def look_at_listings(
    context: dg.AssetCheckExecutionContext | dg.OpExecutionContext,
    platform: Platform,
    dataset: Dataset,
) -> None:
    """Ask FINRA which weeks it offers, and let those go that it has dropped.

    Where it does not answer, what it said the last time counts; another source is not asked.
    """
    if not platform.asks_finra:
        return
    try:
        platform.offers(dataset, is_poll=True)
    except SourceError as error:
        context.log.warning(f"the last known lists of partitions count: {error}")
    for week in let_go(platform.warehouse(dataset), run_ids(context.run)):
        context.log.info(f"{week} is no longer offered by FINRA")


def _write_down(
    context: dg.AssetCheckExecutionContext, platform: Platform, dataset: Dataset
) -> None:
    """Write down the incidents of slices; a verdict does not depend on it."""
    try:
        reconcile(platform.warehouse(dataset), today(), context.run.run_id)
    except Exception as error:
        context.log.warning(f"incidents could not be written down: {error}")


def _no_slice_is_dead(dataset: Dataset) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=publications_key(dataset),
        description="No slice is in dead_letters: each that was requested was taken in at last.",
    )
    @step
    def no_slice_is_dead(platform: Platform) -> dg.AssetCheckResult:
        with platform.warehouse(dataset).read() as reader:
            letters = reader.dead_by_slice()
        rows = [
            {
                "slice": partition_key_of(week),
                "error": row["error"],
                "attempts": row["attempts"],
                "archive key": row["archive_key"] or "",
                "run": row["execution_id"],
                "failed at": f"{row['failed_at']:%Y-%m-%d %H:%M} UTC",
            }
            for week, row in letters.items()
        ]
        return dg.AssetCheckResult(
            passed=not letters,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{len(letters)} slices failed; the job {dataset.name}_retry_dead_letters "
            "runs them all again"
            if letters
            else "none failed",
            metadata={"dead letters": table_of(rows), "dead_letter_count": len(letters)},
        )

    return no_slice_is_dead


def table_of(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """Return rows as a table in the UI, the first `SHOWN` of them."""
    if not rows:
        return dg.MetadataValue.text("none")
    records = [dg.TableRecord(dict(row)) for row in rows[:SHOWN]]
    return dg.MetadataValue.table(records)
