"""A run is one tree of spans, which its correlation id and its run's tags find."""

import uuid

from otc_assets.assets.traces import TRACE_TAG
from otc_assets_tests.tracing.conftest import FILE, PARTITION, REFUSED, WEEK, Traced

SLICE = {"dataset": "ats", "tier": "OTC", "week": WEEK}
ROWS = 267
"""Of the fixture's lines without the header, all but the one that is refused."""


def test_all_spans_of_a_run_are_one_tree(traced: Traced):
    assert traced.result.success
    spans = traced.sent.spans
    assert {span.trace_id for span in spans} == {uuid.UUID(traced.result.run_id).hex}
    assert [span.name for span in spans if span.parent is None] == ["run"]
    assert {span.path for span in spans} == {
        "run",
        "run > step",
        *(
            f"run > step > slice{below}"
            for below in ("", *(f" > {n}" for n in ("fetch", "parse", "archive", "compute")))
        ),
        "run > step > slice > check",
        "run > step > slice > write",
    }


def test_each_asset_and_each_check_is_a_step(traced: Traced):
    done = {event.step_key for event in traced.result.all_events if event.is_step_success}
    assert {span["step"] for span in traced.sent.named("step")} == done


def test_a_slice_has_what_it_is_and_what_became_of_it(traced: Traced):
    (work, _checks) = traced.sent.named("slice", table="raw")
    told = {"table": "raw", "rows": ROWS, "revision": 1, "status": "loaded"}
    correlation = {"correlation_id": traced.result.run_id}
    assert work.attributes == SLICE | told | correlation


def test_what_is_done_to_a_slice_has_its_counts_and_the_slice(traced: Traced):
    fetch = traced.sent.one("fetch")
    assert fetch.attributes.items() >= (SLICE | {"table": "raw", "file": FILE}).items()
    assert traced.sent.one("parse")["rows"] == ROWS
    assert traced.sent.one("parse")["rejects"] == 1
    assert traced.sent.one("write", table="raw", revision=1)["rows"] == ROWS
    assert traced.sent.one("write", table="rejects", revision=1)["rows"] == 1
    assert traced.sent.one("compute", table="venue_volume")["rows"] == ROWS


def test_the_tags_of_a_run_have_its_trace(traced: Traced):
    assert traced.run.tags[TRACE_TAG] == traced.sent.one("run").trace_id


def test_the_root_and_the_slices_have_the_correlation_id(failing: Traced):
    run, *slices = failing.sent.named("run") + failing.sent.named("slice")
    assert len(slices) == 2 * 2 * 2  # assets and checks, tables, weeks
    assert {span["correlation_id"] for span in (run, *slices)} == {"a-backfill"}
    assert run["run_id"] == failing.result.run_id


def test_what_went_well_is_not_marked(traced: Traced, failing: Traced):
    assert [span.path for span in traced.sent.spans if span.failed is not None] == []
    good = failing.sent.named("slice", table="raw", week=WEEK)
    assert [span.failed for span in good] == [None, None]


def test_a_refused_slice_is_marked_with_its_error(failing: Traced):
    week = REFUSED.split("|")[1]
    work, checks = failing.sent.named("slice", table="raw", week=week)
    (event, told) = work.events[0]
    assert event == "exception"
    assert told["exception.type"] == "SourceError"
    assert "finra_otc_weekly_otc_20250623.csv" in told["exception.message"]
    assert work.failed == told["exception.message"]
    assert failing.sent.one("parse", week=week).events == [(event, told)]
    assert "finra_otc_weekly_otc_20250623.csv" in checks.failed


def test_a_slice_that_a_rule_blocks_is_marked_with_the_rule(failing: Traced):
    blocked, _ = failing.sent.named("slice", table="venue_volume", week=WEEK)
    assert "venue_volume was not written: " in blocked.failed
    assert failing.sent.named("write", table="venue_volume") == []


def test_a_run_that_fails_is_marked_with_the_error_of_its_step(failing: Traced):
    assert not failing.result.success
    wrong = {e.step_key for e in failing.result.all_events if e.is_step_failure}
    marked = [span for span in failing.sent.named("step") if span.failed is not None]
    assert {span["step"] for span in marked} == wrong
    run = failing.sent.one("run")
    assert run.failed.startswith("Failure: ")
    assert [told["exception.type"] for _, told in run.events] == ["Failure"] * len(wrong)
    assert PARTITION.split("|")[0] in run.failed
