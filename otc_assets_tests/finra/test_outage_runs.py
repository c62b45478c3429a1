"""Real runs of both datasets in one process: FINRA goes away amid one, and is back for the next."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.assets.partitions import asset_key_of, partition_key_of
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.finra_client import ATTEMPTS, FinraClient
from otc_assets.warehouse.schema import REQUEST_COUNTS
from otc_assets_tests.automation.conftest import Place, place_in, publish
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.wire import Request
from otc_assets_tests.finra.world import World

LIST = "the list of partitions"
WEEKS = [WeekKey(Tier.NMS_TIER_1, date(2025, 5, 2)).shifted(n) for n in range(5)]
GONE_AT, HAD_BEFORE = WEEKS[2], WEEKS[3]
"""The week at which FINRA goes away, and one whose ATS rows the store has from before."""
FIRST, SECOND = NON_ATS, ATS
"""The order in which Dagster does the two assets: that of their names."""


@dataclass
class Run:
    """A run, and what it left in the store."""

    result: dg.ExecuteInProcessResult
    letters: dict[Dataset, dict[WeekKey, str]]
    manifests: dict[Dataset, dict[WeekKey, dict[str, Any]]]
    rows: pd.DataFrame
    """The ATS rows of the week that was there before."""

    def statuses(self, dataset: Dataset) -> list[str]:
        return [self.manifests[dataset][week]["status"] for week in WEEKS]


@dataclass
class Story:
    """A run in which FINRA goes away for good, and the same once it is back."""

    rows_before: pd.DataFrame
    outage: Run
    asked: Counter[str]
    """How often each Monday was asked for in it; refused connections count."""
    afterwards: Run
    counted: Counter[str]
    """Requests by outcome, as the store has them after that run."""


def asked_for(body: dict[str, Any] | None) -> str:
    """Return the Monday that a request is about; one for a list is about none."""
    filters = (body or {}).get("compareFilters", [])
    return next((f["fieldValue"] for f in filters if f["fieldName"] == "weekStartDate"), LIST)


def go_away(server: FinraServer, week: WeekKey) -> None:
    """Let a server close its connection and its port when a week is asked for."""

    def close(request: Request) -> None:
        if asked_for(request.body) == str(week.monday):
            server.faults.always(Fault.RESET)
            server.__exit__()

    server.before_rows = close


def count_requests(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what the client sends, whether or not anything listens."""
    asked, send = Counter[str](), FinraClient._send

    def counted(client: FinraClient, method: str, url: str, **options: Any) -> Any:
        asked[asked_for(options.get("json"))] += 1
        return send(client, method, url, **options)

    patch.setattr(FinraClient, "_send", counted)
    return asked


def rows_of(place: Place) -> pd.DataFrame:
    with place.store(ATS).read() as reader:
        return reader.frame("raw", HAD_BEFORE)


def counted(place: Place) -> Counter[str]:
    c = REQUEST_COUNTS.c
    query = sa.select(c.outcome, sa.func.sum(c.requests)).group_by(c.outcome)
    with place.store(ATS).engine.connect() as connection:
        return Counter({row.outcome: row[1] for row in connection.execute(query)})


def run_range(instance: dg.DagsterInstance, place: Place) -> Run:
    """Materialize raw of both datasets for all weeks, with its checks."""
    result = (
        build_defs(DATASETS)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance,
            asset_selection=[asset_key_of("raw", dataset) for dataset in DATASETS],
            tags={
                "dagster/asset_partition_range_start": partition_key_of(WEEKS[0]),
                "dagster/asset_partition_range_end": partition_key_of(WEEKS[-1]),
            },
            raise_on_error=False,
        )
    )
    run = Run(result, {}, {}, rows_of(place))
    for dataset in DATASETS:
        with place.store(dataset).read() as reader:
            letters = reader.dead_letters()
            run.manifests[dataset] = {week: reader.manifest(week) or {} for week in WEEKS}
        run.letters[dataset] = {WeekKey(r["tier"], r["week_ending"]): r["error"] for r in letters}
    return run


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(symbols=0)
    with (
        place_in(tmp_path_factory.mktemp("outage")) as place,
        pytest.MonkeyPatch.context() as patch,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        with FinraServer(world) as server:
            place.ask(server)
            publish(server, *WEEKS)
            place.take_in(str(HAD_BEFORE))
            before, asked = rows_of(place), count_requests(patch)
            go_away(server, GONE_AT)
            outage, asked_in_it = run_range(instance, place), asked.copy()
        in_it = counted(place)
        port = int(server.url.rpartition(":")[2])
        with FinraServer(world, port=port):
            afterwards = run_range(instance, place)
    return Story(before, outage, asked_in_it, afterwards, in_it)


def test_the_slices_before_an_outage_are_loaded(story: Story):
    assert story.outage.statuses(FIRST) == ["loaded"] * 2 + ["refused"] * 3
    assert story.outage.statuses(SECOND) == ["refused"] * 5


def test_one_slice_has_all_the_patience_and_no_other_of_the_run_is_asked_for(story: Story):
    before = {LIST: 1} | {str(week.monday): 1 for week in WEEKS[:2]}
    assert story.asked == before | {str(GONE_AT.monday): ATTEMPTS}


def test_the_requests_of_a_run_are_counted_in_the_store_when_it_ends(story: Story):
    """Two of them were sent before the run, by its process, for the week that was there."""
    assert story.counted == {"ok": 5, "network": ATTEMPTS}


def test_the_slice_at_which_the_run_gave_up_says_what_came(story: Story):
    error = story.outage.letters[FIRST][GONE_AT]
    assert error.startswith(f"FINRA: non-ATS {GONE_AT}, rows from 0 on: ConnectError: ")
    assert f"(attempt {ATTEMPTS}, the last); when it answers, run this again" in error


@pytest.mark.parametrize(("dataset", "weeks"), [(FIRST, WEEKS[3:]), (SECOND, WEEKS)])
def test_a_slice_that_was_not_asked_for_says_so_and_what_to_do(story: Story, dataset, weeks):
    letters = {w: e for w, e in story.outage.letters[dataset].items() if "was not asked for" in e}
    assert set(letters) == set(weeks)
    for week, error in letters.items():
        assert error.startswith(f"FINRA: {dataset.title} {week} was not asked for: ")
        assert "FINRA has not answered since 20" in error
        assert f"this run gave up at non-ATS {GONE_AT}" in error
        assert error.endswith(f"run this again, or the job {dataset.name}_retry_dead_letters")


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_manifest_says_what_the_dead_letter_says(story: Story, dataset):
    manifests = story.outage.manifests[dataset].items()
    reasons = {week: row["reason"] for week, row in manifests if row["status"] == "refused"}
    assert reasons == story.outage.letters[dataset]


def test_an_outage_costs_no_row_of_what_was_there(story: Story):
    assert not story.rows_before.empty
    pd.testing.assert_frame_equal(story.outage.rows, story.rows_before)


def test_a_run_in_an_outage_fails_by_its_checks_and_not_by_its_assets(story: Story):
    failed = {event.step_key for event in story.outage.result.all_events if event.is_step_failure}
    assert failed == {"raw_checks", "non_ats__raw_checks"}


def test_the_next_run_takes_all_in_and_the_dead_letters_are_gone(story: Story):
    assert story.afterwards.result.success
    for dataset in DATASETS:
        assert story.afterwards.letters[dataset] == {}
        assert story.afterwards.statuses(dataset) == ["loaded"] * 5
