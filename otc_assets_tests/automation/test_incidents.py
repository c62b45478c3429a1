"""What ended runs tell of: by real sensors over real runs, of jobs, backfills and the UI."""

from collections.abc import Iterator
from datetime import date

import pytest
from dagster._core.scheduler.instigation import TickStatus

from otc_assets.automation import incidents
from otc_assets.checks import watch
from otc_assets.operations import notify
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.incidents import Incident, select_incidents
from otc_assets_tests.automation.conftest import Place
from otc_assets_tests.automation.daemon import Daemon
from otc_assets_tests.automation.test_publications import TIER_1_0704, drop, truncate
from otc_assets_tests.sinks import HttpSink, http_sink

SLICE = "NMS Tier 1:2025-07-04"
DAY = date(2025, 7, 22)
"""FINRA published it the day before; nothing of the other tiers is late."""
BEGINS, OVER = "ATS: 1 new problem, none critical", "ATS: 1 problem over"


@pytest.fixture
def sink(place: Place) -> Iterator[HttpSink]:
    """The one address that is told."""
    with http_sink() as server:
        place.set("OTC_NOTIFY_URL", server.url)
        yield server


@pytest.fixture
def following(dagster: Daemon, place: Place) -> Daemon:
    """A daemon that has begun to follow runs, and nothing in the store."""
    place.today(DAY)
    dagster.tick()
    return dagster


def known(place: Place) -> list[Incident]:
    with place.store().engine.connect() as connection:
        return select_incidents(connection)


def names(place: Place) -> list[tuple[str, str]]:
    return [(each.kind, each.subject) for each in known(place)]


def refuse(*_: object, **__: object) -> None:
    raise StoreError("the store is read-only")


def test_a_run_that_fails_for_a_slice_is_told_once_and_the_watch_after_it_not_again(
    following: Daemon, place: Place, sink: HttpSink
):
    drop(place.source, TIER_1_0704)
    truncate(place.source / TIER_1_0704)
    following.tick()
    (run,) = following.work()
    assert not run.is_success
    following.tick()
    assert following.do("ats_watch").success
    following.tick()
    assert names(place) == [("slice", f"ats {SLICE}")]
    assert sink.titles == [BEGINS]
    assert f"/runs/{run.run_id}" in sink.newest

    drop(place.source, TIER_1_0704)
    following.tick()
    (run,) = following.work()
    assert run.is_success
    for _ in range(2):
        following.tick()
    assert sink.titles == [BEGINS, OVER]


def test_a_run_that_fails_by_itself_is_told_once_until_the_same_slices_are_done(
    following: Daemon, place: Place, sink: HttpSink
):
    features = place.source.parent / "features"
    features.write_text("a file where a folder has to be")
    drop(place.source, TIER_1_0704)
    following.tick()
    (run,) = following.work()
    assert (run.job_name, run.is_success) == ("ats_tables", False)
    for _ in range(2):
        following.tick()
    assert names(place) == [("job", "ats_tables")]
    (incident,) = known(place)
    assert incident.undone == [SLICE]
    assert incident.reason.startswith("features: ")
    assert sink.titles == [BEGINS]

    features.unlink()
    assert following.do("ats_tables", tags=dict(run.tags)).success
    for _ in range(2):
        following.tick()
    assert sink.titles == [BEGINS, OVER]


def test_the_runs_of_a_backfill_are_seen(following: Daemon, place: Place, sink: HttpSink):
    (place.source.parent / "features").write_text("a file where a folder has to be")
    drop(place.source, TIER_1_0704)
    following.do("ats_fill_gaps")
    following.backfill()
    following.tick()
    found = [name for name in names(place) if name[0] == "job"]
    assert found == [("job", "__ASSET_JOB")]


def test_a_grave_gap_explains_the_failure_of_the_watch(
    following: Daemon, place: Place, sink: HttpSink
):
    drop(place.source, TIER_1_0704)
    place.take_in(SLICE)
    place.today(date(2025, 8, 5))  # eight days after the week that followed
    assert not following.do("ats_watch").success
    for _ in range(2):
        following.tick()
    assert {kind for kind, _ in names(place)} == {"slice"}
    assert len(sink.taken) == 1


def test_a_run_never_asks_a_sink_and_the_message_comes_when_it_is_up(
    following: Daemon, place: Place, sink: HttpSink
):
    place.today(date(2025, 7, 26))
    sink.hangs.set()
    assert following.do("ats_watch").success
    assert sink.asked == 0
    following.tick()
    tick = following.newest_tick("notifications")
    assert (tick.status, sink.asked) == (TickStatus.SKIPPED, 1)
    assert tick.skip_reason.startswith("sink 1 (json) did not take it: ")
    sink.hangs.clear()
    for _ in range(2):
        following.tick()
    assert len(sink.taken) == 1


def test_incidents_that_cannot_be_written_down_fail_no_run(
    following: Daemon, place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "reconcile", refuse)
    assert following.do("ats_watch").success


def test_a_failure_that_cannot_be_written_down_now_is_later(
    following: Daemon, place: Place, monkeypatch: pytest.MonkeyPatch
):
    place.set("OTC_SOURCE", "nowhere")
    assert not following.do("ats_corrections").success
    place.set("OTC_SOURCE", "files")
    with monkeypatch.context() as patch:
        patch.setattr(incidents, "run_failed", refuse)
        following.tick()
    assert following.newest_tick("incidents").status is TickStatus.FAILURE
    assert known(place) == []
    following.tick()
    (incident,) = known(place)
    assert incident.reason == (
        "ats_reread: ValueError: OTC_SOURCE must be files or finra, and is 'nowhere'"
    )


def test_a_run_that_dagster_tries_again_is_no_incident(following: Daemon, place: Place):
    place.set("OTC_SOURCE", "nowhere")
    failed = following.do("ats_corrections")
    following.instance.add_run_tags(failed.run_id, {"dagster/will_retry": "true"})
    following.tick()
    assert known(place) == []


def test_nobody_is_told_where_no_address_is_set(
    following: Daemon, place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(notify, "_claimed")
    following.tick()
    tick = following.newest_tick("notifications")
    assert tick.skip_reason == "OTC_NOTIFY_URL is not set: nobody is told"


def test_where_all_is_well_nothing_is_to_be_told(following: Daemon, place: Place, sink: HttpSink):
    following.tick()
    assert following.newest_tick("notifications").skip_reason == "nothing is to be told"
    assert following.newest_tick("incidents").skip_reason == "0 runs have ended"
    assert sink.asked == 0
