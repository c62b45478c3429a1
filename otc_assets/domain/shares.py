"""Exact share quantities: FINRA publishes up to six decimals, and sums must keep each of them.

In frames a share quantity is an int64 of millionths of a share (fixed point): sums are exact and
do not depend on the order of rows, up to 9.2e12 shares. Ratios need no conversion; where a value
in shares is meant, use `to_shares`. Sources and warehouse convert at their edge.
"""

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

DECIMALS = 6
MILLIONTHS = 10**DECIMALS
"""Millionths in one share."""

MAX_WHOLE_DIGITS = 12
"""Digits before the point that a quantity may have: a trillion shares in one line is an error."""

NUMBER = rf"-?[0-9]{{1,{MAX_WHOLE_DIGITS}}}(?:\.[0-9]{{1,{DECIMALS}}})?"
"""What a share quantity looks like in a source."""


def parse_shares(text: "pd.Series[str]") -> "pd.Series[int]":
    """Turn quantities that match `NUMBER` into int64 millionths, exactly."""
    exact = pc.cast(
        pa.array(text, pa.string()), pa.decimal128(MAX_WHOLE_DIGITS + DECIMALS, DECIMALS)
    )
    millionths = pc.multiply(exact, pa.scalar(MILLIONTHS, pa.decimal128(DECIMALS + 1, 0)))
    return pd.Series(pc.cast(millionths, pa.int64()).to_numpy(), index=text.index)


def percent(part: "pd.Series[Any]", whole: Any) -> "pd.Series[float]":
    """Return ``part`` in percent of ``whole``, null where that is 0; all of it is exactly 100.

    In floating point: a hundred times a large quantity in millionths would leave int64.
    """
    nonzero = whole.where(whole != 0) if isinstance(whole, pd.Series) else whole or float("nan")
    percents: pd.Series[float] = 100.0 * part / nonzero
    percents[(part == whole) & percents.notna()] = 100.0  # not 100.00000000000001
    return percents


def sum_if_whole(groups: Any) -> "pd.Series[Any]":
    """Sum the column of each group; null where a value is missing, since a part is no total."""
    whole: pd.Series[Any] = groups.sum(min_count=1)
    return whole.where(groups.count() == groups.size())


def to_shares(millionths: Any) -> Any:
    """Return a quantity, or a column of them, in shares (float)."""
    return millionths / MILLIONTHS


def floats_in_shares(millionths: "pd.Series[Any]") -> "pd.Series[float]":
    """Return a column of quantities in shares as plain floats, NaN where one is null."""
    floats: pd.Series[float] = to_shares(millionths.astype("Float64")).astype("float64")
    return floats


def format_shares(millionths: int) -> str:
    """Return the exact decimal text of a quantity; whole numbers print as whole numbers."""
    whole, fraction = divmod(abs(int(millionths)), MILLIONTHS)
    sign = "-" if millionths < 0 else ""
    tail = f".{fraction:0{DECIMALS}d}".rstrip("0") if fraction else ""
    return f"{sign}{whole}{tail}"
