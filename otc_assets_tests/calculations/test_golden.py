import csv
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from otc_assets.calculations import all_calculations, get_calculation, output_tables
from otc_assets.domain.datasets import BLOCKS, DAYS
from otc_assets.domain.neighbours import ATS_BLOCKS, REG_SHO_DAILY
from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import RAW, ColumnType
from otc_assets_tests.calculations.chain import TARGET, Chain, raw_frame

GOLDEN = Path(__file__).parent / "golden"
TWO_SYMBOLS = Path(__file__).parents[1] / "golden" / "two_symbols"

OTHERS = (*output_tables(BLOCKS), *output_tables(DAYS))
TABLES = {table.name: table for table in (RAW, *output_tables(), *OTHERS)}
RAWS = {"block_volume": ATS_BLOCKS.raw, "short_volume": REG_SHO_DAILY.raw}
"""What raw is in cases of other datasets than the weekly ones."""
CALCULATIONS = {calc.spec.label: calc for calc in all_calculations()}
CASES = [(path.parent.name, path.stem) for path in sorted(GOLDEN.glob("*/*.csv"))]
ANSWERS = [(case, label) for case, label in CASES if label in CALCULATIONS]

VALUE_OF = {
    ColumnType.SHARES: lambda text: int(Fraction(text) * MILLIONTHS),
    ColumnType.DOLLARS: lambda text: int(Fraction(text) * MILLIONTHS),
    ColumnType.COUNT: int,
    ColumnType.NUMBER: Fraction,
    ColumnType.FLAG: lambda text: {"true": True, "false": False}[text],
    ColumnType.HASH: bytes.fromhex,
    ColumnType.TEXT: str,
}


def rows_of(case, name, table):
    """Read a file of a case: exact values by the type of their column, None where empty."""
    types = {column.name: column.type for column in table.columns}
    value_of = {name: VALUE_OF[kind] for name, kind in types.items() if kind in VALUE_OF}
    with (GOLDEN / case / f"{name}.csv").open() as file:
        return [
            {name: value_of.get(name, int)(text) if text else None for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def input_frame(case, name):
    table = RAWS.get(case, RAW) if name == "raw" else TABLES[name]
    rows = rows_of(case, name, table)
    frame = pd.DataFrame(rows)
    for column in (column for column in table.columns if column.name in frame):
        if column.type is ColumnType.NUMBER:
            frame[column.name] = frame[column.name].astype("float64")
        if column.type is ColumnType.DOLLARS:  # of which a part may be missing
            frame[column.name] = pd.array([row[column.name] for row in rows], dtype="Int64")
    return frame if "calc_version" in frame else frame.assign(calc_version="v1")


@pytest.mark.parametrize(("case", "label"), ANSWERS)
def test_what_was_worked_out_by_hand_comes_out(case, label):
    calc = CALCULATIONS[label]
    given = {name for folder, name in CASES if folder == case} & set(calc.spec.input_tables)
    rows = calc.compute(TARGET, {name: input_frame(case, name) for name in given})
    expected = rows_of(case, label, calc.table)
    assert len(rows) == len(expected)
    for row, wanted in zip(rows.to_dict("records"), expected, strict=True):
        assert set(row) == set(wanted)
        for name, value in wanted.items():
            assert_equal(row[name], value, f"{name} of {row}")


def assert_equal(found, wanted, where):
    if wanted is None:
        assert pd.isna(found), where
    elif isinstance(wanted, Fraction):
        assert found == pytest.approx(float(wanted), rel=1e-13, abs=1e-13), where
    else:
        assert found == wanted, where


def test_every_calculation_has_a_golden_case():
    assert {label for _, label in ANSWERS} == set(CALCULATIONS)


def test_every_file_of_a_case_is_an_input_or_an_answer():
    assert {name for _, name in CASES} <= set(TABLES) | set(CALCULATIONS)


@pytest.mark.parametrize(
    ("symbol", "limit", "sign"),
    [
        *((f"AT{limit}", limit, 0) for limit in (1000, 1500, 1800, 2500)),
        *((f"BELOW{limit}", limit, -1) for limit in (1000, 1500, 2500)),
        ("ABOVE1800", 1800, 1),
    ],
)
def test_the_volumes_of_the_concentration_case_lie_where_they_should(symbol, limit, sign):
    rows = rows_of("concentration", "venue_volume", TABLES["venue_volume"])
    volumes = [row["share_volume"] for row in rows if row["symbol"] == symbol]
    excess = sum(Fraction(100 * v, sum(volumes)) ** 2 for v in volumes) - limit
    assert (excess > 0) - (excess < 0) == sign
    assert abs(excess) < Fraction(1, 10**12)


def two_symbols():
    weeks = {}
    for back, name in enumerate(["2026-01-02", "2025-12-26", "2025-12-19"]):
        with (TWO_SYMBOLS / f"week_{name}.psv").open() as file:
            lines = list(csv.DictReader(file, delimiter="|"))
        weeks[TARGET.shifted(1 - back)] = lines
    return weeks


@pytest.fixture(scope="module")
def chain():
    raw = {
        week: raw_frame(
            [
                (
                    row["Symbol"],
                    row["MPID"],
                    None,
                    None,
                    int(row["TotalShares"]) * MILLIONTHS,
                    int(row["TotalTrades"]),
                )
                for row in lines
            ]
        )
        for week, lines in two_symbols().items()
    }
    return Chain(raw)


EACH_WEEK = [TARGET.shifted(n) for n in (-1, 0, 1)]


@pytest.mark.parametrize("week", EACH_WEEK, ids=str)
def test_two_symbols_have_the_published_totals(chain, week):
    summary = chain.table("symbol_summary", week).set_index("symbol")
    assert summary["total_volume"].to_dict() == {
        "A": 3_827_870 * MILLIONTHS,
        "AA": 3_110_306 * MILLIONTHS,
    }
    assert summary["total_trades"].to_dict() == {"A": 64_427, "AA": 36_056}
    assert summary["venue_count"].to_dict() == {"A": 29, "AA": 21}
    assert summary["avg_trade_size"].round(2).to_dict() == {"A": 59.41, "AA": 86.26}
    score = chain.table("liquidity_score", week).set_index("symbol")["liquidity_score"]
    assert score.to_dict() == {"A": 1722.89, "AA": 1811.46}


@pytest.mark.parametrize("week", EACH_WEEK, ids=str)
def test_two_symbols_trade_on_thirty_venues(chain, week):
    venues = chain.table("venue_share", week)
    assert venues["mpid"].tolist() == [f"V{n:03}" for n in range(1, 31)]
    assert venues["total_volume"].sum() == 6_938_176 * MILLIONTHS
    assert venues["total_trades"].sum() == 100_483
    assert venues["symbol_count"].sum() == 29 + 21


@pytest.mark.parametrize(("week", "weeks"), [*zip(EACH_WEEK, (1, 2, 3), strict=True)], ids=str)
def test_two_symbols_stand_at_their_own_average(chain, week, weeks):
    rolling = chain.table("rolling_6w", week).set_index("symbol")
    assert rolling["avg_6w_volume"].to_dict() == {"A": 3_827_870, "AA": 3_110_306}
    assert rolling["volume_vs_avg_pct"].tolist() == [0, 0]
    assert rolling["trend"].tolist() == ["stable", "stable"]
    assert rolling["weeks_in_window"].tolist() == [weeks, weeks]
    assert not rolling["is_complete"].any()


@pytest.mark.parametrize("week", EACH_WEEK, ids=str)
def test_two_symbols_are_as_concentrated_as_fractions_say(chain, week):
    for row in chain.table("concentration", week).itertuples():
        lines = [r for r in two_symbols()[week] if r["Symbol"] == row.symbol]
        volumes = [int(r["TotalShares"]) for r in lines]
        exact = sum(Fraction(100 * v, sum(volumes)) ** 2 for v in volumes)
        assert row.hhi == float(round(exact, 2))
        top = max(lines, key=lambda r: int(r["TotalShares"]))
        assert row.top_venue_mpid == top["MPID"]


THOUSAND_MILLION = 10**9 * MILLIONTHS


@pytest.mark.parametrize("label", ["venue_share", "concentration"])
def test_ratios_are_right_for_the_largest_quantities(label):
    volumes = [100 * THOUSAND_MILLION, 300 * THOUSAND_MILLION]
    rows = raw_frame(
        [("A", "V1", None, None, volumes[0], 1), ("A", "V2", None, None, volumes[1], 1)]
    )
    found = get_calculation(label).compute(TARGET, {"venue_volume": rows})
    if label == "venue_share":
        assert found["market_share_pct"].tolist() == [25, 75]
    else:
        assert found["hhi"].tolist() == [6250]


def test_a_change_of_exactly_ten_percent_is_no_trend_however_large():
    part = 361_285_476_649_571  # 361 million shares and a fraction
    window = pd.DataFrame(
        {
            "symbol": ["A", "A"],
            "weeks_back": [1, 0],
            "total_volume": [11 * part, 9 * part],
            "total_trades": [1, 1],
        }
    )
    rows = get_calculation("rolling_6w").compute(TARGET, {"symbol_summary": window})
    assert rows["trend"].tolist() == ["stable"]


def test_a_change_is_right_for_the_largest_quantities():
    window = pd.DataFrame(
        {
            "symbol": ["A", "A"],
            "weeks_back": [1, 0],
            "total_volume": [100 * THOUSAND_MILLION, 500 * THOUSAND_MILLION],
            "total_trades": [1, 1],
        }
    )
    rows = get_calculation("rolling_6w").compute(TARGET, {"symbol_summary": window})
    assert rows["volume_vs_avg_pct"].tolist() == pytest.approx([200 / 3])
    assert rows["trend"].tolist() == ["up"]
