"""People are told once when something ceases to be well, once if it gets worse, once at its end."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from deploy.prometheus.server import free_port
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.incidents import reconcile, run_failed, run_succeeded
from otc_assets.operations.messages import Transition, message_of
from otc_assets.operations.notify import deliver
from otc_assets.operations.sinks import Sink, sinks
from otc_assets.warehouse.incidents import (
    JOB,
    SLICE,
    Incident,
    changing_incidents,
    select_incidents,
)
from otc_assets.warehouse.schema import INCIDENT_LOG
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.sinks import HttpSink, http_sink, mail_sink

PUBLISHED = date(2025, 6, 2)
"""On which FINRA published the week that is held back."""
LATE = "NMS Tier 1:2025-05-16"
THERE = ["NMS Tier 1:2025-05-02", "NMS Tier 1:2025-05-09"]
THERE += ["NMS Tier 2:2025-05-02", "OTC:2025-05-02"]
BEGINS = "ATS: 1 new problem, none critical"
GRAVER = "ATS: 1 problem now critical"
OVER = "ATS: 1 problem over"
MANIFEST = {
    "status": "loaded",
    "stage": "raw",
    "row_counts": {},
    "source_revision": 1,
    "expected_publication_date": PUBLISHED,
    "execution_id": "an-intake",
    "batch_id": "a-batch",
    "correlation_id": "an-intake",
    "updated_at": datetime(2025, 6, 2, tzinfo=UTC),
}
SLICES = ["NMS Tier 1:2025-05-02", "OTC:2025-05-09"]


def load(warehouse: Warehouse, *slices: str, **differs: object) -> None:
    """Write what the manifest says of slices that are in the store, which is all that is read."""
    target = warehouse.sql_table("manifest")
    rows = [
        MANIFEST | {"tier": week.tier.value, "week_ending": week.week_ending} | differs
        for week in map(WeekKey.from_string, slices)
    ]
    with warehouse.engine.begin() as connection:
        connection.execute(target.insert(), rows)


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSink]:
    """The one address that is told."""
    with http_sink() as server:
        monkeypatch.setenv("OTC_NOTIFY_URL", server.url)
        yield server


@pytest.fixture
def held_back(warehouse: Warehouse) -> Warehouse:
    """A store that lacks one week of Tier 1."""
    load(warehouse, *THERE)
    return warehouse


@pytest.fixture
def late(sqlite_warehouse: Warehouse) -> Warehouse:
    """The same on SQLite, four days late; nobody has been told."""
    load(sqlite_warehouse, *THERE)
    look(sqlite_warehouse, 4)
    return sqlite_warehouse


def look(warehouse: Warehouse, days: int) -> None:
    reconcile(warehouse, PUBLISHED + timedelta(days=days), "a-watch")


def tell(warehouse: Warehouse) -> list[str]:
    """Let a process tell what is pending; return what went wrong."""
    return deliver(warehouse, sinks(warehouse)).failed


def test_a_week_that_is_held_back_is_told_when_late_when_graver_and_when_over(
    held_back: Warehouse, sink: HttpSink
):
    told = []
    for days in range(11):
        for _ in range(3):
            look(held_back, days)
            tell(Warehouse(held_back.url))  # as after a restart
        told.append(len(sink.taken))
    assert told == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    load(held_back, LATE)
    for _ in range(3):
        look(held_back, 8)
        tell(held_back)
    assert sink.titles == [BEGINS, GRAVER, OVER]
    assert [message["type"] for message in sink.taken] == ["warning", "failure", "success"]


def test_the_text_names_the_week_the_severity_the_reason_and_the_run(
    late: Warehouse, sink: HttpSink, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_UI_URL", "https://dagster.example/")
    tell(late)
    assert sink.newest == (
        "1 new problem:\n\n"
        "- warning: NMS Tier 1, week ending 2025-05-16: not in the store; FINRA was to publish it "
        "on 2025-06-02, over 3 days ago\n"
        "  https://dagster.example/runs/a-watch\n\n"
        "`otc status` says how things stand, `otc gaps` what lacks."
    )
    load(late, LATE)
    look(late, 5)
    at = datetime(2025, 6, 6, 13, 0, tzinfo=UTC)
    with changing_incidents(late.engine) as connection:
        over = datetime.now(UTC).replace(hour=0, minute=0)
        times = {"opened_at": at, "resolved_at": over}
        connection.execute(sa.update(INCIDENT_LOG).values(times))
    tell(late)
    assert sink.newest == (
        "1 problem is over:\n\n"
        f"- NMS Tier 1, week ending 2025-05-16 (2025-06-06 13:00 to {over:%Y-%m-%d} 00:00 UTC); it "
        "was warning: not in the store; FINRA was to publish it on 2025-06-02, over 3 days ago\n"
        "  https://dagster.example/runs/a-watch"
    )


def test_a_month_is_named_without_a_tier_that_it_has_not():
    month = Incident(SLICE, "ats_blocks all:2025-05-01", "ats_blocks", "warning", "refused", None)
    message = message_of(Transition.BEGINS, [month], "")
    assert message.title == "[otc_assets] ATS block: 1 new problem, none critical"
    assert "- warning: month 2025-05-01: refused\n" in message.body


def test_a_job_of_several_datasets_is_told_under_one_title():
    job = Incident(JOB, "write_research_page", None, "warning", "no room", "a-run")
    title = message_of(Transition.OVER, [job], "").title
    assert title == "[otc_assets] all datasets: 1 problem over"


def test_a_store_that_lacks_hundreds_of_weeks_gives_one_message(late: Warehouse, sink: HttpSink):
    # Tier 1 lacks 100 weeks, to 2027-04-09, and the others 99 each, to 2027-03-26.
    look(late, 700)
    tell(late)
    (message,) = sink.taken
    lines = message["message"].splitlines()
    assert lines[0] == "298 new problems:"
    assert [line.startswith("- critical: ") for line in lines].count(True) == 20
    assert "- and 278 more" in lines


def test_two_reasons_of_one_slice_are_one_incident(late: Warehouse, sink: HttpSink):
    tell(late)
    load(late, LATE, status="refused", reason="line 7 is cut short", source_revision=None)
    look(late, 4)
    tell(late)
    with late.read() as reader:
        (incident,) = select_incidents(reader.connection)
    assert incident.reason.endswith("over 3 days ago; refused: line 7 is cut short")
    assert sink.titles == [BEGINS]


@pytest.mark.parametrize("fault", ["refuses", "hangs", "answers 500"])
def test_what_a_sink_does_not_take_it_is_told_once_it_is_up(
    late: Warehouse, sink: HttpSink, fault: str, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        if fault == "refuses":
            # The address is another one then; what counts is the key under which it is kept.
            monkeypatch.setattr("otc_assets.operations.sinks._key", lambda *_: "its key")
            patch.setenv("OTC_NOTIFY_URL", f"json://127.0.0.1:{free_port()}/otc")
        elif fault == "hangs":
            sink.hangs.set()
        else:
            sink.status = 500
        for _ in range(2):
            (reason,) = tell(late)
            assert reason.startswith("sink 1 (json) did not take it: ")
    assert sink.taken == []
    sink.hangs.clear()
    sink.status = 200
    for _ in range(2):
        assert tell(late) == []
    assert sink.titles == [BEGINS]


def test_what_was_over_before_a_sink_was_up_again_is_told_as_over(late: Warehouse, sink: HttpSink):
    sink.status = 500
    tell(late)
    load(late, LATE)
    look(late, 5)
    sink.status = 200
    tell(late)
    assert sink.titles == [OVER]


def test_what_was_over_before_anyone_was_to_be_told_is_not_told(late: Warehouse, sink: HttpSink):
    load(late, LATE)
    look(late, 5)
    tell(late)
    assert sink.asked == 0


def test_a_sink_that_is_down_has_no_other_told_twice(
    late: Warehouse, sink: HttpSink, monkeypatch: pytest.MonkeyPatch
):
    with http_sink() as other:
        other.status = 500
        monkeypatch.setenv("OTC_NOTIFY_URL", f"{other.url}, {sink.url}")
        for _ in range(2):
            (reason,) = tell(late)
            assert reason.startswith("sink 1 (json)")
        other.status = 200
        tell(late)
        assert (sink.titles, other.titles) == ([BEGINS], [BEGINS])


def test_two_processes_tell_once_and_hold_no_lock_meanwhile(held_back: Warehouse, sink: HttpSink):
    look(held_back, 4)
    second: list[list[str]] = []

    def meanwhile() -> None:
        sink.before_answering = lambda: None
        run_failed(held_back, "a_job", [], dataset="ats", reason="it failed", run_id="a-run")
        second.append(tell(Warehouse(held_back.url)))

    sink.before_answering = meanwhile
    assert tell(held_back) == []
    assert second == [[]]
    assert sink.titles == [BEGINS, BEGINS]  # of the job, and of the week
    assert sum("week ending" in message["message"] for message in sink.taken) == 1


def test_many_processes_tell_once(held_back: Warehouse, sink: HttpSink):
    look(held_back, 4)
    found = sinks(held_back)
    threads = [threading.Thread(target=deliver, args=(held_back, found)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.titles == [BEGINS]


def test_what_a_killed_process_was_to_tell_is_told_when_its_claim_ends(
    late: Warehouse, sink: HttpSink
):
    for ends_in, told in ((1, []), (-1, [BEGINS])):
        until = datetime.now(UTC) + timedelta(minutes=ends_in)
        with changing_incidents(late.engine) as connection:
            connection.execute(sa.update(INCIDENT_LOG).values(claimed_until=until))
        tell(late)
        assert sink.titles == told


def test_a_mail_says_the_same(late: Warehouse, monkeypatch: pytest.MonkeyPatch):
    with mail_sink() as (server, url):
        monkeypatch.setenv("OTC_NOTIFY_URL", url)
        for _ in range(2):
            assert tell(late) == []
    (mail,) = server.taken
    assert mail["subject"] == f"[otc_assets] {BEGINS}"
    assert mail["to"] == "ops@example.com"
    text = mail.get_body(("plain",)).get_content()
    assert "- warning: NMS Tier 1, week ending 2025-05-16: not in the store" in text


def fail(store: Warehouse, *slices: str) -> None:
    run_failed(store, "ats_tables", slices, dataset="ats", reason="raw: killed", run_id="r")


def test_a_job_is_over_when_all_that_failed_has_been_done(warehouse: Warehouse, sink: HttpSink):
    fail(warehouse, SLICES[0])
    fail(warehouse, SLICES[1])
    tell(warehouse)
    run_succeeded(warehouse, "ats_tables", ["OTC:2025-06-13"])
    run_succeeded(warehouse, "ats_tables", [SLICES[1]])
    run_succeeded(warehouse, "another_job", [SLICES[0]])
    tell(warehouse)
    assert sink.titles == [BEGINS]
    assert "- warning: a run of the job ats_tables failed: raw: killed\n" in sink.newest
    run_succeeded(warehouse, "ats_tables", SLICES)
    tell(warehouse)
    assert sink.titles == [BEGINS, OVER]


def test_a_problem_that_comes_again_is_told_again(sqlite_warehouse: Warehouse, sink: HttpSink):
    for _ in range(2):
        fail(sqlite_warehouse)
        tell(sqlite_warehouse)
        run_succeeded(sqlite_warehouse, "ats_tables", [])
        tell(sqlite_warehouse)
    assert sink.titles == [BEGINS, OVER] * 2


def test_a_looker_that_finds_no_change_writes_nothing(late: Warehouse):
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(late.engine, "before_cursor_execute", note)
    look(late, 5)
    assert statements
    assert not [each for each in statements if not each.startswith(("BEGIN", "SELECT"))]


@pytest.mark.parametrize("text", ["nosuch://u:geheim@x", "geheim", "json://x nosuch://geheim"])
def test_an_address_that_is_none_is_refused_by_its_number(
    sqlite_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, text: str
):
    monkeypatch.setenv("OTC_NOTIFY_URL", text)
    with pytest.raises(ValueError, match=r"^OTC_NOTIFY_URL: address \d is none") as refused:
        sinks(sqlite_warehouse)
    assert "geheim" not in str(refused.value)


def test_a_sink_is_never_shown_with_its_address(
    sqlite_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_NOTIFY_URL", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    (sink,) = sinks(sqlite_warehouse)
    assert isinstance(sink, Sink)
    assert repr(sink) == "sink 1 (slack)"
