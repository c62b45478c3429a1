import json
from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from otc_assets.calculations import output_tables
from otc_assets.domain.quality import Finding, Intake, Severity, SliceStatus, SliceView
from otc_assets.domain.rules import PRESENCE, RULES, evaluate, rules_of
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.calculations.chain import TARGET, Chain, raw_frame

SHARE = 10**6

RAW_ROWS = raw_frame(
    [
        ("AAA", "V1", "Name", "CTS", 100 * SHARE, 10),
        ("AAA", "V2", "Name", "CTS", 50 * SHARE + 500_000, 5),
        ("BBB", "V1", "Name", "UTP", 25 * SHARE, 1),
    ]
)
TABLES = Chain({TARGET: RAW_ROWS}).tables()
TABLES["research_snapshot"] = TABLES["research_snapshot"].assign(as_of_source="finra")

GOOD = SliceView(
    week=TARGET,
    status=SliceStatus.LOADED,
    reason=None,
    frames=TABLES,
    previous=lambda: TABLES["venue_volume"],
    recent_row_counts=lambda: (3, 3, 3),
    weeks_in_window=6,
    intake=Intake(line_count=3, row_count=3, reject_count=0, repeat_count=0),
)
"""A slice of which every rule holds."""


def having(table, frame):
    """Return the good slice with other rows in one table."""
    return replace(GOOD, frames=TABLES | {table: frame})


def changed(table, **columns):
    return having(table, TABLES[table].assign(**columns))


def more(table, column):
    """Return the good slice with one more in the first row of a column."""
    frame = TABLES[table].copy()
    frame.loc[0, column] += 1
    return having(table, frame)


def after(*volumes, tier=TARGET.tier):
    """Return the good slice after a week with other volumes of symbols on venues."""
    rows = pd.DataFrame(volumes, columns=["symbol", "mpid", "share_volume"])
    return replace(GOOD, previous=lambda: rows, week=WeekKey(tier, TARGET.week_ending))


def taken(lines, rejects, repeats=0, **reasons):
    kept = lines - rejects - repeats
    return replace(GOOD, intake=Intake(lines, kept, rejects, repeats, reasons))


TWINS = pd.concat([RAW_ROWS, RAW_ROWS.iloc[:1].assign(issue_name="Former Name")])
CONFLICT = pd.concat([RAW_ROWS, RAW_ROWS.iloc[:1].assign(share_volume=7)])
TWICE = {name: pd.concat([frame, frame]) for name, frame in TABLES.items()}
NOTHING = TABLES["venue_volume"].iloc[:0]

FAILS = {
    ("raw", "week_is_present"): replace(GOOD, status=SliceStatus.MISSING, reason="no file"),
    ("raw", "lines_are_accounted_for"): replace(GOOD, intake=Intake(4, 3, 0, 0)),
    ("raw", "few_lines_are_rejected"): taken(200, 3, empty_symbol=3),
    ("raw", "duplicates_are_explained"): having("raw", CONFLICT),
    ("venue_volume", "no_negative_volumes"): changed("venue_volume", share_volume=[1, -1, 1]),
    ("venue_volume", "no_negative_trades"): changed("venue_volume", trade_count=[1, 1, -1]),
    ("venue_volume", "no_duplicates"): having("venue_volume", TWICE["venue_volume"]),
    ("venue_volume", "at_least_one_symbol"): having("venue_volume", NOTHING),
    ("venue_volume", "at_least_one_venue"): having("venue_volume", NOTHING),
    ("venue_volume", "something_traded"): changed("venue_volume", share_volume=0),
    ("venue_volume", "volume_is_conserved"): more("venue_volume", "share_volume"),
    ("venue_volume", "venues_of_last_week_are_there"): after(("A", "V1", 98), ("A", "GONE", 2)),
    ("venue_volume", "symbols_of_last_week_are_there"): after(("AAA", "V1", 1), ("GONE", "V1", 1)),
    ("venue_volume", "record_count_is_usual"): replace(GOOD, recent_row_counts=lambda: (6, 7)),
    ("symbol_summary", "volume_is_conserved"): more("symbol_summary", "total_trades"),
    ("venue_share", "volume_is_conserved"): more("venue_share", "total_volume"),
    ("venue_share", "shares_sum_to_100"): changed("venue_share", market_share_pct=[50.0, 50.2]),
    ("rolling_6w", "window_is_complete"): replace(GOOD, weeks_in_window=5),
    ("rolling_6w", "volume_is_conserved"): more("rolling_6w", "current_volume"),
    ("concentration", "hhi_is_within_bounds"): changed("concentration", hhi=10_000.01),
    ("concentration", "every_symbol_is_rated"): having(
        "concentration", TABLES["concentration"].iloc[:-1]
    ),
    ("research_snapshot", "volume_is_conserved"): more("research_snapshot", "total_volume"),
}
"""For each rule a slice of which it does not hold."""

by_name = {(rule.table, rule.name): rule for rule in RULES}
each_rule = pytest.mark.parametrize("name", by_name, ids=".".join)


def test_no_rule_is_left_out():
    assert list(FAILS) == list(by_name)
    assert len(by_name) == len(RULES)


@each_rule
def test_a_rule_holds_of_a_good_slice(name):
    finding = by_name[name].evaluate(GOOD)
    assert finding.passed
    assert finding.severity is None
    assert_storable(finding)


@each_rule
def test_a_rule_does_not_hold_where_its_truth_is_broken(name):
    finding = by_name[name].evaluate(FAILS[name])
    assert not finding.passed
    assert finding.details
    assert_storable(finding)


@each_rule
def test_a_rule_says_what_it_asserts(name):
    assert by_name[name].description.endswith(".")


def assert_storable(finding):
    """PostgreSQL's JSON takes neither NaN nor numpy's numbers."""
    assert json.loads(json.dumps(finding.details, allow_nan=False)) == finding.details
    assert type(finding.passed) is bool
    assert type(finding.is_expected) is bool


HOLDS, FAILED = (True, False), (False, False)
HOLDS_ANOMALOUS, FAILED_AS_EXPECTED = (True, True), (False, True)
"""Of a finding: whether the rule holds, and whether there is a known anomaly."""


@pytest.mark.parametrize(
    ("name", "view", "passed_and_expected"),
    [
        ("raw.week_is_present", replace(GOOD, status=SliceStatus.NOT_DUE), HOLDS_ANOMALOUS),
        ("raw.week_is_present", replace(GOOD, status=SliceStatus.MISSING), FAILED),
        ("raw.week_is_present", replace(GOOD, status=SliceStatus.REFUSED), FAILED),
        ("raw.lines_are_accounted_for", taken(6, 2, 1), HOLDS),
        ("raw.lines_are_accounted_for", taken(7, 2, 1), FAILED),
        ("raw.lines_are_accounted_for", replace(GOOD, intake=Intake(3, 2, 0, 0)), FAILED),
        ("raw.lines_are_accounted_for", replace(GOOD, intake=None), FAILED),
        ("raw.few_lines_are_rejected", taken(200, 2), HOLDS_ANOMALOUS),
        ("raw.few_lines_are_rejected", taken(200, 0, 50), HOLDS),
        ("raw.duplicates_are_explained", having("raw", TWINS), HOLDS_ANOMALOUS),
        ("raw.duplicates_are_explained", taken(4, 0, 1), HOLDS_ANOMALOUS),
        (
            "venue_volume.something_traded",
            changed("venue_volume", share_volume=[0, 0, 1]),
            HOLDS_ANOMALOUS,
        ),
        ("venue_volume.venues_of_last_week_are_there", after(("A", "V1", 1)), HOLDS),
        (
            "venue_volume.venues_of_last_week_are_there",
            after(("A", "V1", 9901), ("A", "GONE", 99)),
            HOLDS_ANOMALOUS,
        ),
        (
            "venue_volume.venues_of_last_week_are_there",
            after(("A", "V1", 99), ("A", "GONE", 1)),
            FAILED,
        ),
        (
            "venue_volume.venues_of_last_week_are_there",
            after(("A", "V1", 0), ("A", "GONE", 0)),
            HOLDS_ANOMALOUS,
        ),
        (
            "venue_volume.venues_of_last_week_are_there",
            replace(GOOD, previous=lambda: None),
            HOLDS,
        ),
        (
            "venue_volume.symbols_of_last_week_are_there",
            replace(GOOD, previous=lambda: None),
            HOLDS,
        ),
        ("venue_volume.record_count_is_usual", replace(GOOD, recent_row_counts=tuple), HOLDS),
        (
            "venue_volume.record_count_is_usual",
            replace(GOOD, recent_row_counts=lambda: (6,)),
            HOLDS,
        ),
        ("venue_share.shares_sum_to_100", changed("venue_share", market_share_pct=50.04), HOLDS),
        (
            "venue_share.shares_sum_to_100",
            changed("venue_share", total_volume=0, market_share_pct=float("nan")),
            HOLDS,
        ),
        ("rolling_6w.window_is_complete", replace(GOOD, weeks_in_window=1), FAILED_AS_EXPECTED),
        ("concentration.hhi_is_within_bounds", changed("concentration", hhi=float("nan")), FAILED),
        ("concentration.hhi_is_within_bounds", changed("concentration", hhi=4999.0), FAILED),
    ],
)
def test_a_known_anomaly_is_told_from_an_unknown_one(name, view, passed_and_expected):
    finding = by_name[tuple(name.split("."))].evaluate(view)
    assert (finding.passed, finding.is_expected) == passed_and_expected
    assert_storable(finding)


@pytest.mark.parametrize(
    ("tier", "gone", "passed"),
    [
        (Tier.NMS_TIER_1, 20, True),
        (Tier.NMS_TIER_1, 21, False),
        (Tier.NMS_TIER_2, 20, True),
        (Tier.NMS_TIER_2, 21, False),
        (Tier.OTC, 40, True),
        (Tier.OTC, 41, False),
    ],
)
def test_more_symbols_may_be_gone_in_the_otc_tier(tier, gone, passed):
    symbols = [f"GONE{n}" for n in range(gone)] + [f"HERE{n}" for n in range(100 - gone)]
    view = after(*((symbol, "V1", 1) for symbol in symbols), tier=tier)
    here = NOTHING.reindex(range(100)).assign(symbol=symbols)[gone:]
    view = replace(view, frames=TABLES | {"venue_volume": here})
    finding = by_name["venue_volume", "symbols_of_last_week_are_there"].evaluate(view)
    assert (finding.passed, finding.is_expected) == (passed, passed)
    assert finding.details["gone"] == gone


def test_a_missing_week_is_a_warning_and_a_refused_file_an_error():
    missing, refused = (
        evaluate([], replace(GOOD, status=status, intake=None))
        for status in (SliceStatus.MISSING, SliceStatus.REFUSED)
    )
    assert [result.severity for result in (*missing, *refused)] == [
        Severity.WARNING,
        Severity.ERROR,
    ]


def test_the_details_name_what_is_wrong():
    details = {name: by_name[name].evaluate(view).details for name, view in FAILS.items()}
    assert details["raw", "duplicates_are_explained"]["first_conflict"] == "AAA on V1"
    assert details["venue_volume", "no_negative_volumes"]["first"] == "AAA on V2"
    assert details["venue_volume", "venues_of_last_week_are_there"]["gone"] == {"GONE": 2.0}
    assert details["venue_volume", "symbols_of_last_week_are_there"]["examples"] == ["GONE"]
    assert details["venue_volume", "volume_is_conserved"]["venue_volume"]["shares"] == "175.500001"
    assert details["raw", "few_lines_are_rejected"] == {"reject_rate_pct": 1.5, "empty_symbol": 3}


tables = pytest.mark.parametrize("table", [RAW, *output_tables()], ids=lambda table: table.name)


@tables
def test_a_table_holds_what_its_columns_declare(table):
    declared = rules_of(table)[-1]
    assert declared.name == "columns_hold_what_they_declare"
    assert declared.evaluate(GOOD) == Finding(True)


@tables
def test_a_required_column_without_a_value_is_found(table):
    required = next(c.name for c in table.columns if c.name in TABLES[table.name])
    finding = rules_of(table)[-1].evaluate(changed(table.name, **{required: None}))
    assert not finding.passed
    assert finding.details[f"{required} is null"] == len(TABLES[table.name])
    assert_storable(finding)


@tables
def test_a_key_that_occurs_twice_is_found(table):
    finding = rules_of(table)[-1].evaluate(having(table.name, TWICE[table.name]))
    if table is RAW:  # its key is given by the store
        assert finding.passed
    else:
        assert finding.details == {"duplicate keys": len(TABLES[table.name])}
    assert_storable(finding)


def test_an_infinite_number_is_found():
    view = changed("venue_volume", avg_trade_size=[1.0, float("inf"), float("-inf")])
    results = evaluate(rules_of(next(t for t in output_tables() if t.name == "venue_volume")), view)
    wrong = [result for result in results if not result.passed]
    assert [result.check_name for result in wrong] == ["columns_hold_what_they_declare"]
    assert wrong[0].details == {"avg_trade_size is infinite": 2}


@tables
def test_every_rule_of_a_table_is_evaluated(table):
    rules = rules_of(table)
    results = evaluate(rules, GOOD)
    assert [result.check_name for result in results] == [rule.name for rule in rules]
    assert [result.severity for result in results] == [rule.severity for rule in rules]
    assert all(result.passed for result in results)


def test_of_a_slice_without_content_only_the_presence_is_judged():
    empty = SliceView(WeekKey(Tier.OTC, date(2025, 12, 26)), SliceStatus.MISSING, "no file", {})
    results = evaluate(RULES, empty)
    assert [result.check_name for result in results] == [PRESENCE.name]
    assert results[0].details == {"status": "missing", "reason": "no file"}


def test_an_hhi_where_nothing_traded_is_found():
    volumes = TABLES["venue_volume"].assign(share_volume=0)
    view = replace(GOOD, frames=TABLES | {"venue_volume": volumes})
    assert not by_name["concentration", "hhi_is_within_bounds"].evaluate(view).passed
