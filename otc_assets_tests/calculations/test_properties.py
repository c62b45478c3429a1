"""Rules of the calculations that hold of whatever weeks, against exact arithmetic."""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import pandas as pd
import pytest
from hypothesis import given, settings

from otc_assets.calculations import Calculation, all_calculations
from otc_assets.domain.datasets import VENUES
from otc_assets.domain.shares import MILLIONTHS
from otc_assets_tests.calculations.chain import TARGET, Chain, chains, raw_frame

CALCULATIONS = [calc for calc in all_calculations() if VENUES in calc.spec.families]
"""Those of venue by symbol, which follow from the raw of a chain."""

each_calculation = pytest.mark.parametrize("calc", CALCULATIONS, ids=lambda calc: calc.spec.label)
RULES: list[Callable[[Chain], None]] = []


def rule(holds: Callable[[Chain], None]) -> Callable[[Chain], None]:
    """Ask for a rule of every chain that is drawn."""
    RULES.append(holds)
    return holds


class Computed(NamedTuple):
    """Of one calculation: its input as it was before, the input afterwards, and the rows."""

    before: dict[str, pd.DataFrame]
    inputs: dict[str, pd.DataFrame]
    rows: pd.DataFrame


@lru_cache(maxsize=1)
def computed(chain: Chain) -> list[tuple[Calculation, Computed]]:
    """Compute every calculation of a chain, once for all the rules."""
    found = []
    for calc in CALCULATIONS:
        inputs = chain.inputs(calc)
        before = {name: frame.copy(deep=True) for name, frame in inputs.items()}
        found.append((calc, Computed(before, inputs, calc.compute(TARGET, inputs))))
    return found


@settings(max_examples=20)
@given(chains())
def test_every_rule_holds_of_whatever_weeks(chain):
    """All of the same weeks, because to compute their tables is what takes time."""
    for holds in RULES:
        holds(chain)


@each_calculation
def test_no_rows_give_no_rows_and_the_same_columns(calc):
    chain = Chain({TARGET: raw_frame([])})
    rows = calc.compute(TARGET, chain.inputs(calc))
    assert rows.empty
    assert sorted(rows.columns) == sorted(calc.spec.output_columns)


@rule
def the_order_of_the_input_rows_is_irrelevant(chain):
    for calc, done in computed(chain):
        shuffled = {n: f.sample(frac=1, random_state=len(f)) for n, f in done.before.items()}
        pd.testing.assert_frame_equal(
            done.rows.reset_index(drop=True),
            calc.compute(TARGET, shuffled).reset_index(drop=True),
            check_exact=True,
            obj=calc.spec.label,
        )


@rule
def the_rows_are_what_the_spec_declares_and_in_the_order_of_a_unique_key(chain):
    for calc, done in computed(chain):
        rows = done.rows
        assert sorted(rows.columns) == sorted(calc.spec.output_columns), calc.spec.label
        key = [column for column in calc.spec.key if column in rows]
        keys = list(rows[key].itertuples(index=False, name=None))
        assert len(keys) > 0, calc.spec.label
        assert keys == sorted(set(keys)), calc.spec.label


@rule
def a_calculation_leaves_its_input_as_it_is(chain):
    for calc, done in computed(chain):
        for name, frame in done.inputs.items():
            pd.testing.assert_frame_equal(
                frame, done.before[name], check_exact=True, obj=f"{name} of {calc.spec.label}"
            )


@rule
def shares_and_trades_are_conserved_on_the_whole_way(chain):
    raw = chain.table("raw")
    total = int(raw["share_volume"].sum()), int(raw["trade_count"].sum())
    volume = chain.table("venue_volume")
    assert (int(volume["share_volume"].sum()), int(volume["trade_count"].sum())) == total
    for name in ("symbol_summary", "venue_share", "research_snapshot"):
        rows = chain.table(name)
        assert (int(rows["total_volume"].sum()), int(rows["total_trades"].sum())) == total, name
    rolling = chain.table("rolling_6w")
    assert int(rolling["current_volume"].sum()) == total[0]


NOTIONALS = [
    ("venue_volume", "notional", ["symbol", "mpid"]),
    ("symbol_summary", "total_notional", ["symbol"]),
    ("venue_share", "total_notional", ["mpid"]),
    ("research_snapshot", "total_notional", ["symbol"]),
]


@rule
def a_notional_is_the_exact_sum_of_its_records_and_unknown_where_one_lacks_it(chain):
    for name, column, key in NOTIONALS:
        amounts = {}
        for record in chain.table("raw").to_dict("records"):
            amounts.setdefault(tuple(record[k] for k in key), []).append(record["notional"])
        found = {
            tuple(row[k] for k in key): None if pd.isna(row[column]) else int(row[column])
            for row in chain.table(name).to_dict("records")
        }
        assert found == {
            group: None if any(pd.isna(v) for v in values) else sum(int(v) for v in values)
            for group, values in amounts.items()
        }, name


@rule
def notional_is_conserved_on_the_whole_way_where_every_record_has_it(chain):
    raw = chain.table("raw")
    known = raw.assign(notional=raw["notional"].fillna(9_007_199_254_740_993))
    whole = Chain({TARGET: known})
    total = sum(int(amount) for amount in known["notional"])
    for name, column, _ in NOTIONALS:
        assert int(whole.table(name)[column].sum()) == total, name


@rule
def no_symbol_and_no_venue_is_lost_or_made_up(chain):
    raw, volume = chain.table("raw"), chain.table("venue_volume")
    assert pairs(volume) == pairs(raw)
    for name in ("symbol_summary", "concentration", "liquidity_score", "research_snapshot"):
        assert set(chain.table(name)["symbol"]) == set(raw["symbol"]), name
    assert set(chain.table("venue_share")["mpid"]) == set(raw["mpid"])
    window = set().union(*(chain.table("raw", week)["symbol"] for week in chain.weeks))
    assert set(chain.table("rolling_6w")["symbol"]) == window


@rule
def each_symbol_has_the_sums_of_its_own_rows(chain):
    raw = chain.table("raw")
    for row in chain.table("symbol_summary").itertuples():
        mine = raw[raw["symbol"] == row.symbol]
        assert row.total_volume == sum(int(v) for v in mine["share_volume"])
        assert row.total_trades == sum(int(n) for n in mine["trade_count"])
        assert row.venue_count == mine["mpid"].nunique()
        if row.total_trades == 0:
            assert pd.isna(row.avg_trade_size)
        else:
            exact = Fraction(row.total_volume, row.total_trades * MILLIONTHS)
            assert row.avg_trade_size == pytest.approx(float(exact), rel=1e-15)


@rule
def market_shares_sum_to_100_and_rank_by_volume_then_mpid(chain):
    rows = chain.table("venue_share")
    total = int(rows["total_volume"].sum())
    if total == 0:
        assert rows["market_share_pct"].isna().all()
    else:
        assert rows["market_share_pct"].sum() == pytest.approx(100, abs=1e-9)
        exact = [float(Fraction(100 * int(v), total)) for v in rows["total_volume"]]
        assert rows["market_share_pct"].tolist() == pytest.approx(exact, rel=1e-15)
    order = sorted(zip(-rows["total_volume"], rows["mpid"], strict=True))
    assert rows.sort_values("rank")["mpid"].tolist() == [mpid for _, mpid in order]
    assert sorted(rows["rank"]) == list(range(1, len(rows) + 1))


def level_v1(hhi):
    return "competitive" if hhi < 1500 else "moderate" if hhi < 2500 else "concentrated"


def level_v2(hhi):
    return "competitive" if hhi < 1000 else "moderate" if hhi <= 1800 else "concentrated"


@rule
def an_hhi_and_its_levels_are_those_of_exact_arithmetic(chain):
    volumes = chain.table("venue_volume").groupby("symbol")["share_volume"]
    exact = {symbol: exact_hhi([int(v) for v in group]) for symbol, group in volumes}
    for row in chain.table("concentration").itertuples():
        hhi = exact[row.symbol]
        if hhi is None:
            assert pd.isna(row.hhi)
            assert pd.isna(row.concentration_level)
            assert pd.isna(row.top_venue_mpid)
            continue
        assert Fraction(10_000, row.venue_count) <= hhi <= 10_000
        assert 10_000 / row.venue_count - 0.005 <= row.hhi <= 10_000
        assert row.hhi == pytest.approx(float(hhi), abs=0.005 + 1e-9)
        level = {"v1": level_v1, "v2": level_v2}[row.calc_version]
        assert row.concentration_level == level(hhi)


def exact_hhi(volumes):
    total = sum(volumes)
    return sum(Fraction(100 * v, total) ** 2 for v in volumes) if total else None


@rule
def the_top_venue_has_the_largest_volume_and_of_equals_the_first_mpid(chain):
    volume = chain.table("venue_volume")
    for row in chain.table("concentration").dropna(subset="hhi").itertuples():
        mine = volume[volume["symbol"] == row.symbol]
        largest = int(mine["share_volume"].max())
        assert row.top_venue_mpid == mine.loc[mine["share_volume"] == largest, "mpid"].min()
        exact = Fraction(100 * largest, int(mine["share_volume"].sum()))
        assert row.top_venue_share_pct == pytest.approx(float(exact), rel=1e-15)


@rule
def a_rolling_average_is_the_mean_of_the_weeks_present(chain):
    weeks = [chain.table("symbol_summary", week).set_index("symbol") for week in chain.weeks]
    for row in chain.table("rolling_6w").itertuples():
        present = [week.loc[row.symbol] for week in weeks if row.symbol in week.index]
        volumes = [int(week["total_volume"]) for week in present]
        mean = Fraction(sum(volumes), len(volumes))
        trades = Fraction(sum(int(week["total_trades"]) for week in present), len(present))
        assert row.weeks_in_window == len(present)
        assert row.is_complete == (len(present) == 6)
        assert row.avg_6w_volume == pytest.approx(float(mean / MILLIONTHS), rel=1e-15)
        assert row.avg_6w_trades == pytest.approx(float(trades), rel=1e-15)
        now = weeks[-1]["total_volume"].get(row.symbol, 0)
        assert row.current_volume == now
        if mean == 0:
            assert pd.isna(row.volume_vs_avg_pct)
            assert row.trend == "stable"
        else:
            against = 100 * (int(now) - mean) / mean
            assert row.volume_vs_avg_pct == pytest.approx(float(against), rel=1e-13)
            assert row.trend == ("up" if against > 10 else "down" if against < -10 else "stable")


@rule
def the_snapshot_shows_what_its_parts_show(chain):
    parts = [chain.table(n) for n in ("symbol_summary", "rolling_6w", "liquidity_score")]
    concentration = chain.table("concentration")
    parts.append(concentration[concentration["calc_version"] == "v1"])
    snapshot = chain.table("research_snapshot").set_index("symbol")
    assert snapshot["has_rolling_data"].all()
    assert not snapshot["is_removed"].any()
    for part in parts:
        mine = part.set_index("symbol").reindex(snapshot.index).drop(columns="calc_version")
        shown = snapshot[mine.columns].astype(mine.dtypes)
        pd.testing.assert_frame_equal(shown, mine, check_exact=True)


def pairs(rows):
    return set(zip(rows["symbol"], rows["mpid"], strict=True))
