"""The one `Definitions` object: it joins assets, checks and the resource, and decides nothing."""

import gc
from collections.abc import Sequence
from typing import Any

import dagster as dg

from otc_assets.assets.factory import build_assets
from otc_assets.assets.features import build_features
from otc_assets.assets.page import build_page
from otc_assets.assets.period_features import build_period_features
from otc_assets.assets.platform import Platform
from otc_assets.assets.previews import accept_previews
from otc_assets.assets.venues import build_venues
from otc_assets.automation.history import fetch_history, fetch_history_monthly
from otc_assets.automation.incidents import incidents, notifications
from otc_assets.automation.jobs import build_jobs, page_job
from otc_assets.automation.schedules import build_schedules, page_schedule
from otc_assets.automation.sensors import publication_sensor
from otc_assets.checks.agreements import build_agreement_checks
from otc_assets.checks.factory import build_checks
from otc_assets.checks.features import build_feature_checks
from otc_assets.checks.venues import build_venue_checks
from otc_assets.checks.verify import build_verify_check
from otc_assets.checks.watch import build_watch_checks
from otc_assets.domain.datasets import EVERY_DATASET, Dataset
from otc_assets.logs import configure


def build_defs(
    datasets: Sequence[Dataset] = EVERY_DATASET, **resource_overrides: Any
) -> dg.Definitions:
    """Return everything that Dagster loads; tests pass resources of their own."""
    accept_previews()
    return dg.Definitions(
        assets=[
            *(asset for dataset in datasets for asset in build_assets(dataset)),
            *build_features(datasets),
            *build_period_features(datasets),
            *build_venues([each for each in datasets if each.is_weekly]),
            build_page([each for each in datasets if each.is_weekly]),
        ],
        asset_checks=[
            *(
                check
                for dataset in datasets
                for check in (
                    *build_checks(dataset),
                    *build_watch_checks(dataset),
                    build_verify_check(dataset),
                    *build_agreement_checks(dataset),
                )
            ),
            *build_feature_checks(datasets),
            *build_venue_checks(datasets),
        ],
        jobs=[
            *(job for dataset in datasets for job in build_jobs(dataset)),
            page_job(),
            fetch_history,
        ],
        sensors=[
            *(publication_sensor(dataset) for dataset in datasets),
            incidents,
            notifications,
        ],
        schedules=[
            *(schedule for dataset in datasets for schedule in build_schedules(dataset)),
            page_schedule(),
            fetch_history_monthly,
        ],
        resources={"platform": Platform(), **resource_overrides},
        # A process for each step would spend 5 to 12 seconds on imports; scale out by runs.
        executor=dg.in_process_executor,
    )


configure()
defs = build_defs()

# All that was imported stays. Without this the collector looks through it again and again, which
# takes a tenth of a short run.
gc.freeze()
