"""Schedules, in New York time: for corrections, the daily watch, and for those who prefer cron."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from otc_assets.automation.jobs import (
    corrections_job,
    page_job,
    retention_job,
    tables_job,
    watch_job,
)
from otc_assets.automation.ranges import ranges_of
from otc_assets.domain.calendar import NEW_YORK
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import slug_of
from otc_assets.operations.follow import next_publication, published_on

A_DAY = date(2025, 1, 1)
"""Any one: of two delays, it tells which is the longer."""


def build_schedules(dataset: Dataset) -> list[dg.ScheduleDefinition]:
    """Return the schedules of one dataset."""
    delays = sorted(set(dataset.publication_delay.values()), key=lambda delay: A_DAY + delay)
    by_delay = [[t for t, d in dataset.publication_delay.items() if d == delay] for delay in delays]
    return [
        dg.ScheduleDefinition(
            name=f"{dataset.name}_corrections_daily",
            job=corrections_job(dataset),
            cron_schedule="0 20 * * 1-5",
            execution_timezone=NEW_YORK.key,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(
            name=f"{dataset.name}_watch_daily",
            job=watch_job(dataset),
            cron_schedule="0 9 * * *",
            execution_timezone=NEW_YORK.key,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(  # it removes rows: whoever wants that starts it
            name=f"{dataset.name}_retention_weekly",
            job=retention_job(dataset),
            cron_schedule="0 3 * * 0",
            execution_timezone=NEW_YORK.key,
        ),
        *(
            _on_publication_days(dataset, tiers, dataset.hour + number)
            # Tier 1 at 6:00, the tiers that come later at 7:00 (design, advanced tier, section 5).
            for number, tiers in enumerate(by_delay)
        ),
    ]


def page_schedule() -> dg.ScheduleDefinition:
    """Return the schedule of the page for researchers: after the day's last correction."""
    return dg.ScheduleDefinition(
        name="research_page_daily",
        job=page_job(),
        cron_schedule="0 21 * * *",
        execution_timezone=NEW_YORK.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _on_publication_days(
    dataset: Dataset, tiers: Sequence[str], hour: int
) -> dg.ScheduleDefinition:
    slug = "_and_".join(slug_of(tier).removeprefix("nms_") for tier in tiers)

    @dg.schedule(
        name=f"{dataset.name}_{slug}",
        job=tables_job(dataset),
        cron_schedule=f"0 {hour} * * 1-5",
        execution_timezone=NEW_YORK.key,
        description="On the days on which FINRA publishes by its calendar. Instead of the "
        "publication sensor, which looks every minute; stopped unless you start it.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(NEW_YORK).date()
        weeks = published_on(dataset, tiers, day)
        if not weeks:
            coming, _ = next_publication(dataset, day)
            names = ", ".join(tiers)
            return dg.SkipReason(
                f"FINRA publishes no {dataset.grain.name} of {names} on {day}; next: {coming}"
            )
        return [
            dg.RunRequest(run_key=f"{each} on {day}", tags=each.tags) for each in ranges_of(weeks)
        ]

    return schedule
