"""What becomes of a second content of a slice under each revision policy, and under force."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otc_assets.calculations import output_tables
from otc_assets.domain.revisions import (
    Action,
    Revision,
    RevisionPolicy,
    decide,
    newest,
)
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.operations.revise import Treatment
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.engine import write_transaction
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.operations.test_as_known import known
from otc_assets_tests.pipeline import RUN, TODAY, content
from otc_assets_tests.sources.samples import WEEK, api_json, piped, row

VERSIONED, OVERWRITE, SKIP, MERGE = RevisionPolicy
INSERTED, UPDATED, SKIPPED = Action
PUBLISHED, CORRECTED = "2025-12-15", "2025-12-29"
FORMER = "Abcd Example Corp. (Former Name)"

FIRST = [row("AAA", shares=100), row("BBB", shares=50)]
SECOND = [
    row("AAA", shares=110, updated=CORRECTED),
    row("BBB", mpid="RUSH", shares=5, updated=CORRECTED),
    row("CCC", shares=9, updated=CORRECTED),
    row("CCC", shares=1, updated=CORRECTED, name=FORMER),  # a twin of the one before
]
THIRD = [row("DDD", shares=7, updated="2026-01-05")]

ROWS = {
    "first": [("AAA", "PLUM", 100), ("BBB", "PLUM", 50)],
    "second": [
        ("AAA", "PLUM", 110),
        ("BBB", "RUSH", 5),
        ("CCC", "PLUM", 1),
        ("CCC", "PLUM", 9),
    ],
    "both": [
        ("AAA", "PLUM", 100),
        ("BBB", "PLUM", 50),
        ("BBB", "RUSH", 5),
        ("CCC", "PLUM", 1),
        ("CCC", "PLUM", 9),
    ],
}
AS_FIRST = {"AAA": 100, "BBB": 50}
AS_SECOND = {"AAA": 110, "BBB": 5, "CCC": 10}
AS_BOTH = {"AAA": 100, "BBB": 55, "CCC": 10}


@dataclass
class Expected:
    """What a policy makes of a second content."""

    second: tuple[Action, int, int]
    """What became of it: action, its revision and the one before."""
    rows: dict[int, list[tuple[str, str, int]]]
    """The rows of each revision that is then in the store."""
    published: dict[str, int]
    """The volumes that the snapshot knows between publication and correction."""
    corrected: dict[str, int]
    """Those that it knows from the correction on."""


GOLDEN = {
    VERSIONED: Expected(
        (UPDATED, 2, 1), {1: ROWS["first"], 2: ROWS["second"]}, AS_FIRST, AS_SECOND
    ),
    OVERWRITE: Expected((UPDATED, 2, 1), {2: ROWS["second"]}, {}, AS_SECOND),
    SKIP: Expected((SKIPPED, 1, 1), {1: ROWS["first"]}, AS_FIRST, AS_FIRST),
    MERGE: Expected((UPDATED, 2, 1), {1: ROWS["first"], 2: ROWS["both"]}, AS_FIRST, AS_BOTH),
}

each_policy = pytest.mark.parametrize("policy", RevisionPolicy)


class Desk:
    """A folder of files of one slice, an archive, and a store that takes them in."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self.source, self.archive = folder / "source", folder / "archive"
        self.source.mkdir(parents=True, exist_ok=True)
        self.derived = True

    def put(self, name: str, rows: Sequence[dict[str, object]] | bytes) -> None:
        data = rows if isinstance(rows, bytes) else piped(rows)
        (self.source / f"{name}_week_{WEEK.week_ending}.csv").write_bytes(data)

    def take(
        self, policy: RevisionPolicy = VERSIONED, *, force: bool = False, today: date = TODAY
    ) -> list[tuple[Action, int, int | None]]:
        """Take the files in, and return what became of each."""
        index, archive = FileSource(str(self.source)).index(today), Archive(str(self.archive))
        treatment = Treatment(policy, force)
        outcome = ingest(self.warehouse, archive, index, WEEK, RUN, today, treatment)
        self.derived = False
        return [(r.action, r.revision, r.previous_revision) for r in outcome.results]

    def derive(self) -> None:
        """Compute every table of what was taken in."""
        for table in () if self.derived else output_tables():
            assert derive(self.warehouse, table.name, WEEK, RUN).written
        self.derived = True

    def records(self, table: str) -> list[dict[str, Any]]:
        with self.warehouse.read() as reader:
            return reader.records(table, WEEK)

    def rows(self) -> dict[int, list[tuple[str, str, int]]]:
        """The rows of each revision, in the order of their values."""
        found = defaultdict(list)
        for record in self.records("raw"):
            values = record["symbol"], record["mpid"], int(record["share_volume"])
            found[record["source_revision"]].append(values)
        assert [r["source_revision"] for r in self.records("revisions")] == sorted(found)
        return {number: sorted(rows) for number, rows in found.items()}

    def known(self, day: str) -> dict[str, int]:
        self.derive()
        return known(self.warehouse, WEEK, day)

    def content(self) -> str:
        return content(self.warehouse)

    def lines_are_accounted_for(self) -> bool:
        """Whether the rule holds, and each line of each revision has a number of its own."""
        verdict = next(
            v for v in self.records("quality_checks") if v["rule"] == "lines_are_accounted_for"
        )
        for revision in self.records("revisions"):
            number = revision["source_revision"]
            lines = [
                record["line_number"]
                for table in ("raw", "rejects")
                for record in self.records(table)
                if record["source_revision"] == number
            ]
            if len(set(lines)) != len(lines) or len(lines) != revision["line_count"]:
                return False
        return bool(verdict["passed"])

    def archived(self) -> list[str]:
        return sorted(path.name for path in self.archive.rglob("*.csv"))


@pytest.fixture
def desk(sqlite_warehouse: Warehouse, tmp_path: Path) -> Desk:
    return Desk(sqlite_warehouse, tmp_path)


@pytest.fixture
def each_desk(warehouse: Warehouse, tmp_path: Path) -> Desk:
    """A desk with a store on each database."""
    return Desk(warehouse, tmp_path)


def corrected(desk: Desk, policy: RevisionPolicy) -> list[tuple[Action, int, int | None]]:
    """Take in the first content and then, under a policy, the second one too."""
    desk.put("first", FIRST)
    assert desk.take(policy) == [(INSERTED, 1, None)]
    desk.put("second", SECOND)
    return desk.take(policy)


@each_policy
def test_a_second_content_is_treated_as_the_policy_says(each_desk: Desk, policy: RevisionPolicy):
    expected = GOLDEN[policy]
    assert corrected(each_desk, policy) == [(SKIPPED, 1, 1), expected.second]
    assert each_desk.rows() == expected.rows
    assert each_desk.known("2025-12-14") == {}
    assert each_desk.known(PUBLISHED) == each_desk.known("2025-12-28") == expected.published
    assert each_desk.known(CORRECTED) == each_desk.known("2026-06-30") == expected.corrected
    assert each_desk.lines_are_accounted_for()


@each_policy
def test_the_same_run_again_changes_nothing(desk: Desk, policy: RevisionPolicy):
    corrected(desk, policy)
    desk.derive()
    before, kept = desk.content(), desk.archived()
    again = desk.take(policy)
    assert {action for action, *_ in again} == {SKIPPED}
    desk.derive()
    assert (desk.content(), desk.archived()) == (before, kept)


@each_policy
def test_two_contents_at_once_end_as_one_after_the_other(
    desk: Desk, policy: RevisionPolicy, tmp_path: Path
):
    corrected(desk, policy)
    at_once = Desk(Warehouse(f"sqlite:///{tmp_path / 'other.db'}"), tmp_path / "other")
    at_once.put("first", FIRST)
    at_once.put("second", SECOND)
    assert at_once.take(policy) == [(INSERTED, 1, None), GOLDEN[policy].second]
    assert at_once.content() == desk.content()
    at_once.take(policy)
    assert at_once.content() == desk.content()


@each_policy
def test_no_bytes_are_lost_under_any_policy(desk: Desk, policy: RevisionPolicy):
    corrected(desk, policy)
    assert desk.archived() == sorted(path.name for path in desk.source.iterdir())
    folder = desk.archive.parent / "rebuilt"
    rebuilt = Desk(Warehouse(f"sqlite:///{folder / 'otc.db'}"), folder)
    rebuilt.source = desk.archive
    rebuilt.take()
    assert rebuilt.rows() == GOLDEN[VERSIONED].rows


@pytest.mark.parametrize("policy", [VERSIONED, OVERWRITE, SKIP])
def test_a_content_that_was_replaced_already_changes_no_later_day(
    desk: Desk, policy: RevisionPolicy
):
    desk.put("second", SECOND)
    assert desk.take(policy) == [(INSERTED, 1, None)]
    desk.put("first", FIRST)
    late = desk.take(policy)[-1]
    assert late == ((UPDATED, 2, 1) if policy is VERSIONED else (SKIPPED, 1, 1))
    assert desk.known(CORRECTED) == AS_SECOND
    assert desk.known(PUBLISHED) == (AS_FIRST if policy is VERSIONED else {})


def test_merging_a_content_that_was_replaced_already_shows_no_later_knowledge_before(desk: Desk):
    desk.put("second", SECOND)
    desk.take(MERGE)
    desk.put("first", FIRST)
    assert desk.take(MERGE)[-1] == (UPDATED, 2, 1)
    assert desk.rows()[2] == sorted([*ROWS["second"], ("BBB", "PLUM", 50)])
    assert desk.known(PUBLISHED) in ({}, AS_FIRST)
    assert desk.known(CORRECTED) == {"AAA": 110, "BBB": 55, "CCC": 10}


def test_only_the_newest_revision_is_overwritten(desk: Desk):
    corrected(desk, VERSIONED)
    desk.put("third", THIRD)
    assert desk.take(OVERWRITE) == [(SKIPPED, 1, 1), (SKIPPED, 2, 2), (UPDATED, 3, 2)]
    assert desk.rows() == {1: ROWS["first"], 3: [("DDD", "PLUM", 7)]}
    assert desk.known(CORRECTED) == AS_FIRST
    assert desk.known("2026-01-05") == {"DDD": 7}
    before = desk.content()
    assert desk.take(OVERWRITE) == [(SKIPPED, 1, 1), (SKIPPED, 3, 3), (SKIPPED, 3, 3)]
    assert desk.content() == before


UNDATED = [row("AAA", shares=120), row("BBB", shares=50)]
"""A correction that shows no date of its own."""


@pytest.mark.parametrize(
    "today",
    [TODAY, date.fromisoformat(PUBLISHED)],
    ids=str,
)
def test_two_contents_of_one_date_do_not_overwrite_each_other_in_turns(desk: Desk, today: date):
    desk.put("first", FIRST)
    desk.put("second", UNDATED)
    assert desk.take(OVERWRITE, today=today) == [(INSERTED, 1, None), (UPDATED, 2, 1)]
    before = desk.content()
    for _ in range(2):
        desk.take(OVERWRITE, today=today)
        assert desk.content() == before


def test_each_correction_without_a_date_overwrites_the_one_before(desk: Desk):
    desk.put("only", FIRST)
    desk.take(OVERWRITE)
    for revision, shares in ((2, 120), (3, 130)):
        desk.put("only", [row("AAA", shares=shares), row("BBB", shares=50)])
        taken = desk.take(OVERWRITE, today=TODAY + timedelta(revision))
        assert taken == [(UPDATED, revision, revision - 1)]
    assert desk.rows() == {3: [("AAA", "PLUM", 130), ("BBB", "PLUM", 50)]}


def test_a_content_that_is_skipped_day_by_day_is_archived_once(desk: Desk):
    desk.put("first", FIRST)
    desk.put("second", UNDATED)
    for days in range(3):
        desk.take(SKIP, today=TODAY + timedelta(days))
    assert len(desk.archived()) == 2


def test_what_was_skipped_is_taken_as_a_version_later(desk: Desk):
    corrected(desk, SKIP)
    assert desk.take(VERSIONED) == [(SKIPPED, 1, 1), GOLDEN[VERSIONED].second]
    assert desk.rows() == GOLDEN[VERSIONED].rows
    assert (desk.known(PUBLISHED), desk.known(CORRECTED)) == (AS_FIRST, AS_SECOND)


def test_force_takes_what_the_policy_would_skip(desk: Desk):
    corrected(desk, SKIP)
    assert desk.take(SKIP, force=True) == [(UPDATED, 1, 1), (UPDATED, 2, 1)]
    assert desk.rows() == GOLDEN[VERSIONED].rows
    assert desk.known(CORRECTED) == AS_SECOND


def test_force_writes_rows_again_under_the_number_that_they_have(each_desk: Desk):
    corrected(each_desk, VERSIONED)
    before = each_desk.content()
    with write_transaction(each_desk.warehouse.engine, "a tamperer") as connection:
        connection.exec_driver_sql("UPDATE raw_rows SET share_volume = 1000 WHERE symbol = 'AAA'")
        connection.exec_driver_sql("DELETE FROM raw_rows WHERE symbol = 'BBB'")
    assert each_desk.take(VERSIONED, force=True) == [(UPDATED, 1, 2), (UPDATED, 2, 2)]
    assert each_desk.content() == before


@each_policy
def test_force_again_changes_nothing(desk: Desk, policy: RevisionPolicy):
    corrected(desk, policy)
    desk.take(policy, force=True)
    before = desk.content()
    desk.take(policy, force=True)
    assert desk.content() == before


def test_a_merge_adds_the_records_that_are_lacking_and_no_other(each_desk: Desk):
    """From a dialect with amounts and one without, so that both kinds of null come along."""
    first = [
        row("AAA", shares="1.5", notional=12.25),
        row("BBB", shares=2, notional=None) | {"lastReportedDate": None},
    ]
    each_desk.put("first", api_json(first))
    each_desk.take(MERGE)
    stored = pd.DataFrame(each_desk.records("raw"))
    lines = [*SECOND, SECOND[0], row("", updated=CORRECTED), row("EEE", trades="x")]
    each_desk.put("second", lines)
    assert each_desk.take(MERGE) == [(SKIPPED, 1, 1), (UPDATED, 2, 1)]

    raw = pd.DataFrame(each_desk.records("raw"))
    raw = raw[raw["source_revision"] == 2].reset_index(drop=True)
    values = list(zip(raw["symbol"], raw["mpid"], raw["share_volume"], strict=True))
    assert values[:2] == [("AAA", "PLUM", 1.5), ("BBB", "PLUM", 2)]
    assert sorted(values[2:]) == [("BBB", "RUSH", 5), ("CCC", "PLUM", 1), ("CCC", "PLUM", 9)]
    lineage = ["source_revision", "execution_id", "batch_id", "correlation_id", "ingested_at"]
    pd.testing.assert_frame_equal(
        raw.iloc[:2].drop(columns=lineage), stored.drop(columns=lineage), check_dtype=False
    )
    assert raw["source_file"].map(lambda name: name.split("_")[0]).tolist() == [
        *["first"] * 2,
        *["second"] * 3,
    ]
    assert raw["notional"].isna().tolist() == [False, True, True, True, True]

    refused = [r["reason_code"] for r in each_desk.records("rejects")]
    assert sorted(refused) == ["empty_symbol", "exact_repeat", "invalid_trades"]
    assert each_desk.lines_are_accounted_for()
    before = each_desk.content()
    each_desk.take(MERGE)
    assert each_desk.content() == before


def test_a_merge_of_nothing_new_makes_no_revision(desk: Desk):
    desk.put("first", FIRST)
    desk.take(MERGE)
    before = desk.content()
    desk.put("second", [row("AAA", shares=999, updated=CORRECTED)])
    assert desk.take(MERGE) == [(SKIPPED, 1, 1), (SKIPPED, 1, 1)]
    assert desk.content() == before


def test_merges_add_up(desk: Desk):
    corrected(desk, MERGE)
    desk.put("third", THIRD)
    assert desk.take(MERGE)[-1] == (UPDATED, 3, 2)
    assert desk.rows()[3] == [*ROWS["both"], ("DDD", "PLUM", 7)]
    assert desk.known("2026-01-05") == {**AS_BOTH, "DDD": 7}
    assert desk.lines_are_accounted_for()


def offered(
    known: list[Revision], contents: Sequence[str], policy: RevisionPolicy, *, force: bool
) -> list[Action]:
    """Offer contents, whose letters are their days, to the revisions of a slice."""
    actions = []
    for text in contents:
        day, latest = date(2026, 1, 1) + timedelta(ord(text) - ord("a")), newest(known)
        is_older = latest is not None and day < latest.revision_date
        before = list(known)
        decision = decide(known, text, policy, force=force, is_older=is_older)
        stored = {r.content_sha256: r.source_revision for r in known}
        assert decision.previous_revision == (latest.source_revision if latest else None)
        assert (decision.action is INSERTED) == (latest is None)
        if decision.action is SKIPPED:
            assert decision.source_revision == stored.get(text, decision.previous_revision)
        elif text in stored:
            assert force
            assert decision.source_revision == stored[text]
        else:
            assert decision.source_revision == max(stored.values(), default=0) + 1
            if policy is OVERWRITE and latest:
                known.remove(latest)
            known.append(Revision(decision.source_revision, day, text))
        assert decide(before, text, policy, force=force, is_older=is_older) == decision
        actions.append(decision.action)
    return actions


contents = st.lists(st.sampled_from("abcdefg"), max_size=8)


@settings(max_examples=60)
@given(contents, contents, st.sampled_from(RevisionPolicy), st.booleans())
def test_a_content_that_is_offered_again_in_the_order_of_the_days_is_skipped(
    before, offers, policy, force
):
    known: list[Revision] = []
    offered(known, before, policy, force=force)
    offered(known, sorted(offers), policy, force=False)
    settled = list(known)
    assert set(offered(known, sorted(offers), policy, force=False)) <= {SKIPPED}
    assert known == settled


@settings(max_examples=60)
@given(contents, st.sampled_from(RevisionPolicy))
def test_without_force_the_newest_content_is_never_replaced_by_an_older_one(offers, policy):
    known: list[Revision] = []
    for text in offers:
        before = newest(known)
        offered(known, [text], policy, force=False)
        after = newest(known)
        assert after is not None
        assert before is None or after.revision_date >= before.revision_date
        if policy is OVERWRITE:
            assert known == [after]
        if policy is SKIP and before:
            assert after == before


@settings(max_examples=60)
@given(contents, contents, st.sampled_from([VERSIONED, SKIP, MERGE]))
def test_force_leaves_what_is_there_under_its_number(before, offers, policy):
    known: list[Revision] = []
    offered(known, before, VERSIONED, force=False)
    stored = {replace(revision) for revision in known}
    offered(known, offers, policy, force=True)
    assert stored <= set(known)
    assert {r.content_sha256 for r in known} == {*before, *offers}
