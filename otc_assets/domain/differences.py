"""Where two sets of rows of one table differ: two versions of it, or what is live and rebuilt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from otc_assets.domain.shares import to_shares
from otc_assets.domain.tables import DERIVED_LINEAGE, EXACT, SLICE, ColumnType, Table

NUMERIC = (*EXACT, ColumnType.COUNT, ColumnType.NUMBER)
VERSION = "calc_version"


@dataclass(frozen=True)
class Comparison:
    """What is equal and what differs between two sets of rows, here called left and right."""

    columns: pd.DataFrame
    """One row per compared column: ``column``; how many rows were ``compared`` (those whose key is
    on both sides), are ``equal`` (null equals null) and ``different``; how many have a key that is
    ``only_left`` or ``only_right``; the ``largest_difference``, absolute, in shares or dollars
    where the column holds them (NaN where nothing could be subtracted)."""
    differences: pd.DataFrame
    """One row per key that differs: the key, ``found_in`` (both, or the name of the one side), and
    each column once per side, as ``<column>_<side>``. The largest first: a difference counts as
    its part of the largest of its column, anything that cannot be subtracted as 1, and a row as
    much as its largest one. Quantities are floats, in shares or dollars."""


def compare_rows(
    table: Table,
    left: pd.DataFrame,
    right: pd.DataFrame,
    columns: Sequence[str],
    *,
    key: Sequence[str],
    sides: tuple[str, str],
) -> Comparison:
    """Compare ``columns`` of two frames row by row; a key that occurs twice is two rows.

    Args:
        table: says what the columns hold; quantities are in millionths.
        left: the one side.
        right: the other.
        columns: what is compared, none of them of the key.
        key: what tells which row belongs to which.
        sides: what left and right are called.

    """
    one, other = (_comparable(table, rows, [*key, *columns], key) for rows in (left, right))
    suffixes = tuple(f"_{side}" for side in sides)
    pairs = one.merge(
        other, on=[*key, "_nth"], how="outer", suffixes=(suffixes[0], suffixes[1]), indicator=True
    )
    both = pairs["_merge"] == "both"
    only = {f"only_{side}": int((pairs["_merge"] == f"{side}_only").sum()) for side in _SIDES}
    compared, size = int(both.sum()), (~both).astype("float64")
    summary = []
    for name in columns:
        values = [pairs[f"{name}{suffix}"] for suffix in suffixes]
        different = both & ~_same(*values)
        wrong = int(different.sum())
        is_number = table.column(name).type in NUMERIC
        largest = 0.0 if is_number and compared else float("nan")
        if wrong:
            distance = _distance(table, name, *values).where(both)
            largest = float(distance.max())
            part = (distance / largest).fillna(1.0).where(different, 0.0)
            size = size.where(size > part, part)
        counts = {"compared": compared, "equal": compared - wrong, "different": wrong, **only}
        summary.append({"column": name, **counts, "largest_difference": largest})
    order = size[size > 0].sort_values(ascending=False, kind="stable").index
    where = {"both": "both", "left_only": sides[0], "right_only": sides[1]}
    shown = pairs.loc[order].reset_index(drop=True)
    shown["found_in"] = shown["_merge"].astype("str").map(where).astype("str")
    beside = [f"{name}{suffix}" for name in columns for suffix in suffixes]
    for name in columns:
        if table.column(name).type in EXACT:
            for suffix in suffixes:
                exact = shown[f"{name}{suffix}"].astype("Float64")
                shown[f"{name}{suffix}"] = to_shares(exact).astype("float64")
    return Comparison(pd.DataFrame(summary), shown[[*key, "found_in", *beside]])


_SIDES = ("left", "right")


def compare_versions(table: Table, rows: pd.DataFrame, left: str, right: str) -> Comparison:
    """Compare two versions of the calculation that fills ``table``, which ``rows`` has both.

    All of the table's columns that ``rows`` has are compared, except for slice and lineage.
    """
    key = [name for name in table.key if name in rows and name != VERSION]
    unmeasured = {column.name for column in (*SLICE, *DERIVED_LINEAGE)}
    columns = [
        column.name
        for column in table.columns
        if column.name in rows and column.name not in {*key, *unmeasured}
    ]
    one, other = (rows[rows[VERSION] == version] for version in (left, right))
    return compare_rows(table, one, other, columns, key=key, sides=(left, right))


def _comparable(
    table: Table, rows: pd.DataFrame, names: list[str], key: Sequence[str]
) -> pd.DataFrame:
    """Give columns a type that is the same on both sides, and exact where a row is lacking."""
    kinds = {ColumnType.FLAG: "boolean", ColumnType.NUMBER: "float64", ColumnType.COUNT: "Int64"}
    kinds |= dict.fromkeys(EXACT, "Int64") | {ColumnType.TEXT: "str"}
    types = {name: kinds.get(table.column(name).type, "object") for name in names}
    return rows[names].astype(types).assign(_nth=rows.groupby(list(key)).cumcount())


def _same(left: "pd.Series[Any]", right: "pd.Series[Any]") -> "pd.Series[bool]":
    equal = (left == right).fillna(False).astype(bool)
    return equal | (left.isna() & right.isna())


def _distance(
    table: Table, name: str, left: "pd.Series[Any]", right: "pd.Series[Any]"
) -> "pd.Series[float]":
    kind = table.column(name).type
    if kind not in NUMERIC:
        return pd.Series(float("nan"), left.index)
    # Subtracted as they are: quantities in millionths are integers beyond a float's.
    distance = (left - right).abs().astype("Float64")
    return (to_shares(distance) if kind in EXACT else distance).astype("float64")
