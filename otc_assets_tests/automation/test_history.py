"""`otc fetch-history`: real backfills fetch what FINRA still has, oldest first, and once."""

from collections.abc import Iterable, Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.execution.backfill import BulkActionStatus

from otc_assets.assets.partitions import publications_key
from otc_assets.assets.platform import Platform
from otc_assets.automation import history
from otc_assets.automation.history import fetch_history_monthly, look, request_history, under_way
from otc_assets.cli import history as cli_history
from otc_assets.cli import standing as cli_standing
from otc_assets.cli.main import otc
from otc_assets.domain.datasets import ATS, DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.monitoring import standing as metrics_standing
from otc_assets.monitoring.catalog import Samples
from otc_assets.monitoring.standing import collect_slices, collect_store
from otc_assets.operations.incidents import problems_of
from otc_assets.operations.status import status_of
from otc_assets.research.facts import coverage
from otc_assets.research.standing import lacking, no_longer_offered
from otc_assets_tests.automation.conftest import Place, part_of, place_in, publish
from otc_assets_tests.automation.daemon import Daemon, daemon
from otc_assets_tests.finra.server import DATA, HISTORIC_DATA, FinraServer
from otc_assets_tests.finra.world import HISTORIC, WEEKLY, World

WEEKS = [WeekKey(Tier.OTC, date(2025, 4, 25)).shifted(n) for n in range(7)]
LOADED, DROPPED, OLDEST, OLD, IN_BOTH, NEW, NEWEST = WEEKS
SETS = {LOADED: (), DROPPED: (), OLDEST: (HISTORIC,), OLD: (HISTORIC,), IN_BOTH: (HISTORIC, WEEKLY)}
TODAY = date(2025, 7, 11)
"""On which FINRA has published the newest of them."""


def static_weeks(server: FinraServer) -> list[str]:
    """The weeks of the historic set that were asked for, in that order."""
    asked = server.asked(HISTORIC_DATA)
    return [request.body["compareFilters"][0]["fieldValue"] for request in asked]


class Story:
    """What was there after each step of fetching history under Dagster's daemon."""

    def __init__(self, place: Place, dagster: Daemon, server: FinraServer) -> None:
        """Fetch with no volume left, then with some, then once more."""
        self.place, self.server, self.dagster = place, server, dagster
        instance = dagster.instance
        place.set("OTC_GIGABYTES_PER_MONTH", 0.003)
        self.nothing_begun = skipped(instance)
        self.requested = request_history(instance, look(Platform()))
        self.was_under_way = [each.backfill_id for each in under_way(instance)]
        self.stopped = dagster.backfill()
        self.asked_when_stopped = len(server.asked(DATA)) + len(server.asked(HISTORIC_DATA))
        self.after_stop = self.counts()
        place.set("OTC_GIGABYTES_PER_MONTH", 10)
        self.monthly = fetch_history_monthly.evaluate_tick(at_six(instance)).run_requests
        assert dagster.do("fetch_history").success
        self.done = dagster.backfill()
        self.static = static_weeks(server)
        self.again = request_history(instance, look(Platform()))
        for each in self.static_runs(instance):
            assert each.tags[history.TAG]
        self.backfills = instance.get_backfills()

    def static_runs(self, instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
        return [run for run in instance.get_runs() if "dagster/backfill" in run.tags]

    def manifest(self, week: WeekKey) -> dict[str, Any]:
        """What the store knows of an ATS slice."""
        with self.place.store().read() as reader:
            return reader.manifest(week) or {}

    def watched(self) -> dict[str, Any]:
        """What the watch check says of the ATS weeks."""
        self.dagster.do("ats_watch")
        key = dg.AssetCheckKey(publications_key(ATS), "every_due_week_is_there")
        storage = self.dagster.instance.event_log_storage
        (record,) = storage.get_asset_check_execution_history(key, limit=1)
        assert record.event
        assert record.event.dagster_event
        found = record.event.dagster_event.asset_check_evaluation_data.metadata
        return {name: value.value for name, value in found.items()}

    def counts(self) -> list[int]:
        """How many slices each dataset has in the store."""
        return [
            sum(number is not None for number in self.place.revisions(each).values())
            for each in DATASETS
        ]


def at_six(instance: dg.DagsterInstance) -> dg.ScheduleEvaluationContext:
    return dg.build_schedule_context(instance=instance)


def skipped(instance: dg.DagsterInstance) -> str | None:
    return fetch_history_monthly.evaluate_tick(at_six(instance)).skip_message


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("history")
    with (
        place_in(folder) as place,
        FinraServer(World(symbols=0)) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        place.ask(server)
        place.today(TODAY)
        for module in (cli_history, cli_standing, metrics_standing):
            patch.setattr(module, "today", lambda: TODAY)
        patch.setattr(history, "BLOCK_WEEKS", 2)
        publish(server, *WEEKS)
        for dataset in DATASETS:
            place.take_in(str(LOADED), dataset=dataset)
        for week, sets in SETS.items():
            server.world.move(part_of(week), *sets)
        with daemon(()) as dagster:
            patch.setattr(history, "is_daemon_alive", lambda _: False)
            patch.setattr(
                "otc_assets.automation.storage.instance_that_is_set", lambda: dagster.instance
            )
            yield Story(place, dagster, server)


def test_each_block_of_weeks_is_a_backfill_and_the_oldest_comes_first(story: Story):
    assert len(story.requested) == 3
    assert story.was_under_way == story.requested[::-1]
    titles = [b.title for b in sorted(story.backfills, key=lambda b: b.backfill_timestamp)]
    assert titles[:3] == [
        "FINRA's history: weeks ending 2025-05-09 to 2025-05-16",
        "FINRA's history: weeks ending 2025-05-23 to 2025-05-30",
        "FINRA's history: weeks ending 2025-06-06 to 2025-06-06",
    ]


def test_where_the_months_volume_is_used_up_nothing_is_asked_and_nothing_fails(story: Story):
    assert set(story.stopped) == {BulkActionStatus.COMPLETED_SUCCESS}
    assert (story.asked_when_stopped, story.after_stop) == (2, [1, 1])


def test_it_goes_on_next_month_where_it_was_begun(story: Story):
    assert story.nothing_begun == "nobody has asked for history (`otc fetch-history`)"
    assert len(story.monthly or []) == 1
    assert set(story.done) == {BulkActionStatus.COMPLETED_SUCCESS}
    assert story.counts() == [6, 6]


def test_history_that_was_canceled_does_not_go_on_by_itself(
    story: Story, monkeypatch: pytest.MonkeyPatch
):
    canceled = SimpleNamespace(status=BulkActionStatus.CANCELED)
    monkeypatch.setattr(history, "tagged_backfills", lambda *_: [canceled])
    said = skipped(story.dagster.instance)
    assert said == "the last backfill of history was canceled"


def test_each_static_week_was_asked_for_once_for_both_datasets_oldest_first(story: Story):
    assert story.static == [str(week.monday) for week in (OLDEST, OLD)]


def test_when_all_is_there_nothing_is_requested(story: Story):
    assert story.again == []


def otc_tier(found: Iterable[Any]) -> list[Any]:
    """What is of the tier that the server has."""
    return [each for each in found if each.tier == Tier.OTC]


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_dropped_week_is_no_gap_no_incident_and_not_missing(story: Story, dataset: Dataset):
    store = story.place.store(dataset)
    with store.read() as reader:
        assert otc_tier(problems_of(reader, TODAY)) == []
    (tier,) = otc_tier(status_of(store, TODAY))
    assert (tier.missing, tier.late, tier.no_longer_offered, tier.is_well) == (0, 0, 1, True)
    states = coverage(store, TODAY).query("tier == 'OTC'").set_index("week_ending")["state"]
    assert states[DROPPED.week_ending] == "no_longer_offered"
    assert set(states.drop([DROPPED.week_ending, LOADED.week_ending])) == {"complete"}
    assert no_longer_offered(TODAY, dataset=dataset.name) == [DROPPED]
    assert DROPPED.week_ending not in set(
        lacking(TODAY, dataset=dataset.name).query("tier == 'OTC'")["week_ending"]
    )


def test_the_metrics_count_a_dropped_week_and_do_not_call_it_missing(story: Story):
    samples = Samples()
    collect_slices(story.place.store(), samples)
    collect_store(story.place.store(), samples)
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in samples
        for sample in metric.samples
    }
    assert values["otc_weeks_missing", "ats", "OTC"] == 0
    assert values["otc_weeks_no_longer_offered", "ats", "OTC"] == 1
    assert values["otc_oldest_gap_days", "ats", "OTC"] == 0
    assert values["otc_finra_bytes_per_month",] == 10**10
    assert values["otc_finra_received_bytes_this_month",] > 10_000


def told(*arguments: str) -> str:
    """What a command prints, on both streams."""
    return CliRunner().invoke(otc, arguments).output


def test_the_command_tells_how_far_it_is_and_that_nothing_is_left(story: Story):
    said = told("fetch-history", "--follow")
    assert "ATS: 5 of 5 slices are in the store" in said
    assert "non-ATS: 5 of 5 slices are in the store" in said
    assert "of 10 GB this month" in said
    assert "Nothing is left to fetch." in said


def test_status_tells_the_months_volume(story: Story):
    assert "FINRA has sent 0.00 of 10 GB this month" in told("status")


def test_with_files_as_source_there_is_no_history_to_fetch(story: Story, monkeypatch):
    monkeypatch.setenv("OTC_SOURCE", "files")
    assert "set OTC_SOURCE=finra" in told("fetch-history")


def test_the_watch_lets_a_week_go_that_was_missing_when_a_run_looked(story: Story):
    """It is the last test: it changes what there is."""
    story.place.today(date(2025, 7, 21))
    story.place.take_in(str(NEWEST.shifted(1)))  # due, and not listed yet
    assert story.manifest(NEWEST.shifted(1))["status"] == "missing"
    publish(story.server, NEWEST.shifted(2))
    for week in (IN_BOTH, NEW, NEWEST):
        story.server.world.move(part_of(week), HISTORIC)
    assert story.watched()["no_longer_offered_count"] == 2
    row = story.manifest(NEWEST.shifted(1))
    assert (row["status"], row["quality_score"]) == ("no_longer_offered", None)
