"""Publication sensors: a slice that its source has and the store has not becomes a run."""

import hashlib
import json
from collections.abc import Mapping

import dagster as dg

from otc_assets.assets.platform import Platform, reach
from otc_assets.automation.jobs import tables_job
from otc_assets.automation.ranges import Range, ranges_of
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.operations.follow import Offer, news, next_publication
from otc_assets.sources.errors import SourceError

INTERVAL_SECONDS = 60
KILLED_RUNS_ARE_TRIED_AGAIN = {"dagster/max_retries": "2"}


def publication_sensor(dataset: Dataset) -> dg.SensorDefinition:
    """Return the sensor that follows the source of one dataset.

    Its cursor is a JSON object of the slices that were requested and are not in the store yet, with
    what was requested of each. A slice that fails stays there, so that it is not requested again
    and again; it is in dead_letters.
    """

    @dg.sensor(
        name=f"{dataset.name}_publications",
        job=tables_job(dataset),
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks for {dataset.title} slices that the source has and the store has not, "
        "new or corrected, and requests them in as few runs as partition ranges allow.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, platform: Platform
    ) -> dg.SensorResult | dg.SkipReason:
        warehouse = platform.warehouse(dataset)
        try:
            found = news(warehouse, platform.poll(dataset), reach(), today())
        except SourceError as error:
            return dg.SkipReason(f"the source cannot be asked now: {error}")
        before: Mapping[str, str] = json.loads(context.cursor or "{}")
        fresh = {w: offer for w, offer in found.items() if before.get(str(w)) != str(offer)}
        cursor = json.dumps({str(week): str(offer) for week, offer in found.items()})
        if not fresh:
            day, weeks = next_publication(dataset, today())
            coming = ", ".join(str(week) for week in weeks)
            waits = f"; {len(found)} were requested and are not in the store" if found else ""
            reason = f"nothing new{waits}; FINRA publishes {coming} on {day}"
            return dg.SensorResult(skip_reason=reason, cursor=cursor)
        requests = [_request(each, fresh) for each in ranges_of(fresh)]
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return sensor


def _request(wanted: Range, offers: Mapping[SliceKey, Offer]) -> dg.RunRequest:
    """Return the request of one run; its key is the same for the same slices, as they now are."""
    state = "\n".join(f"{week} {offers[week]}" for week in wanted.slices())
    digest = hashlib.sha256(state.encode()).hexdigest()[:12]
    return dg.RunRequest(
        run_key=f"{wanted} {digest}", tags={**wanted.tags, **KILLED_RUNS_ARE_TRIED_AGAIN}
    )
