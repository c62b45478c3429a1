"""Runs the calculations over a few weeks of raw in memory, and makes such weeks at random."""

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd
from hypothesis import strategies as st

from otc_assets.calculations import Calculation, calculations_of
from otc_assets.calculations.registry import output_tables
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey

TARGET = WeekKey(Tier.NMS_TIER_1, date(2025, 12, 26))

RAW_COLUMNS = {
    "symbol": "str",
    "mpid": "str",
    "issue_name": "str",
    "product_type": "str",
    "share_volume": "int64",
    "trade_count": "int64",
    "notional": "Int64",
}


def raw_frame(rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Return rows of `RAW_COLUMNS` as a frame; a row may end before its notional.

    Quantities are millionths of a share, the notional millionths of a dollar.
    """
    whole = [(*row, None)[: len(RAW_COLUMNS)] for row in rows]
    return pd.DataFrame(whole, columns=list(RAW_COLUMNS)).astype(RAW_COLUMNS)


class Chain:
    """The tables of some weeks of one tier, each computed when it is asked for."""

    def __init__(self, raw: Mapping[WeekKey, pd.DataFrame]) -> None:
        self.weeks = sorted(raw)
        self._frames = {("raw", week): frame for week, frame in raw.items()}

    def table(self, name: str, week: WeekKey = TARGET) -> pd.DataFrame:
        """Return a table of a week: every version side by side, in the order of its key."""
        if (name, week) not in self._frames:
            versions = [
                calc.compute(week, self.inputs(calc, week)).assign(calc_version=calc.spec.version)
                for calc in calculations_of(name)
            ]
            key = [c for c in calculations_of(name)[0].spec.key if c in versions[0]]
            rows = pd.concat(versions, ignore_index=True).sort_values(key, ignore_index=True)
            self._frames[name, week] = rows
        return self._frames[name, week]

    def inputs(self, calc: Calculation, week: WeekKey = TARGET) -> dict[str, pd.DataFrame]:
        """Return the input tables of a calculation."""
        if calc.spec.weeks_required == 1:
            return {name: self.table(name, week) for name in calc.spec.input_tables}
        window = [w for w in week.window(calc.spec.weeks_required) if w in self.weeks]
        back = {w: (week.week_ending - w.week_ending).days // 7 for w in window}
        return {
            name: pd.concat(
                [self.table(name, w).assign(weeks_back=back[w]) for w in window], ignore_index=True
            )
            for name in calc.spec.input_tables
        }

    def tables(self, week: WeekKey = TARGET) -> dict[str, pd.DataFrame]:
        """Return every table of a week by name."""
        return {
            name: self.table(name, week) for name in ("raw", *(t.name for t in output_tables()))
        }


SYMBOLS = ["A", "AA", "BRK.B", "ABR$D", "QCMP", "QCMp", "\u00e9", "ZVZZT"]
VENUES = ["IATS", "OTCN", "UBSA", "V001", "V010"]

quantities = (
    st.just(0)
    | st.integers(1, 10**6)
    | st.integers(1, 10**8).map(lambda shares: shares * 10**6)
    | st.integers(1, 10**14)
)
"""Millionths of a share: none, less than one, whole ones, and up to a hundred million."""

amounts = st.none() | st.just(0) | st.integers(1, 10**8) | st.integers(1, 10**15)
"""Millionths of a dollar: unknown, none, up to a hundred, and up to a thousand million."""

raw_rows = st.tuples(
    st.sampled_from(SYMBOLS),
    st.sampled_from(VENUES),
    st.sampled_from(["Name", "Former Name", None]),
    st.sampled_from(["CTS", "UTP", None]),
    quantities,
    st.integers(0, 10**6),
    amounts,
)
raw_frames = st.lists(raw_rows, min_size=1, max_size=12).map(raw_frame)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Draw one to six weeks that end with `TARGET`, some of them perhaps lacking."""
    earlier = draw(st.sets(st.integers(1, 5)))
    return Chain({TARGET.shifted(-back): draw(raw_frames) for back in (0, *sorted(earlier))})
