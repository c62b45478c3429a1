"""Two versions of a calculation beside each other: what a new one changes, before it is used."""

from dataclasses import replace

import pandas as pd

from otc_assets.calculations import get_calculation
from otc_assets.domain.differences import VERSION, Comparison, compare_versions
from otc_assets.domain.tables import DERIVED_LINEAGE, ColumnType, Table
from otc_assets.research.arguments import Names, Weeks, asked_of, conditions
from otc_assets.research.knowledge import store_of
from otc_assets.warehouse.bulk import select_frame
from otc_assets.warehouse.reader import table_named
from otc_assets.warehouse.store import Store


def compare(
    calculation: str,
    left: str,
    right: str,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> Comparison:
    """Compare the rows that two versions of a calculation have in the store.

    Args:
        calculation: its name, for example concentration.
        left: a version, for example v1.
        right: another one.
        tiers: one or more of NMS Tier 1, NMS Tier 2 and OTC (default: all).
        weeks: one or more weeks by their Friday (default: all).
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Returns:
        ``columns``, one row per output column: the rows compared, equal and different, those of
        one version only, and the largest difference; and ``differences``, one row per (week, tier,
        key) that differs, with both values as ``<column>_v1`` and ``<column>_v2``, the largest
        first (see `Comparison`). Volumes are in shares, as floats.

    Raises:
        KeyError: there is no such calculation or version.
        ValueError: one and the same version, versions of two tables, a week that is no Friday, an
            unknown tier or dataset, or a version that has no rows there.

    """
    if left == right:
        raise ValueError(f"{calculation} {left} is one version; name two to compare")
    tables = {get_calculation(calculation, version).table.name for version in (left, right)}
    if len(tables) > 1:
        raise ValueError(f"{left} and {right} of {calculation} fill {' and '.join(sorted(tables))}")
    table = table_named(tables.pop())
    store = store_of(dataset, database_url)
    rows = _rows(store, table, (left, right), tiers, weeks)
    there = set(rows[VERSION])
    for version in (left, right):
        if version not in there:
            raise ValueError(
                f"the store has no rows of {calculation} {version} in the slices asked for "
                f"(of {', '.join(sorted(there)) or 'the other version'}: {len(rows)}); materialize "
                f"{table.name} there"
            )
    found = compare_versions(table, rows, left, right)
    days = [name for name in table.key if table.column(name).type is ColumnType.DATE]
    as_days = {name: found.differences[name].astype("datetime64[s]") for name in days}
    return replace(found, differences=found.differences.assign(**as_days))


def _rows(
    store: Store,
    table: Table,
    versions: tuple[str, str],
    tiers: Names,
    weeks: Weeks,
) -> pd.DataFrame:
    target = store.sql_table(table.name)
    lineage = {column.name for column in DERIVED_LINEAGE} - {*table.key, VERSION}
    names = [column.name for column in table.columns if column.name not in lineage]
    where = [target.c[VERSION].in_(versions), *conditions(target, None, tiers, weeks)]
    own = [name for name in names if name not in ("week_ending", "tier")]
    with store.read() as reader:
        parts = [select_frame(reader.connection, table, target, names, *where)]
        pruned = {(week, record[VERSION]) for week, record in reader.pruned(table.name)}
        for week in asked_of({week for week, _ in pruned}, tiers, weeks):
            for version in (each for each in versions if (week, each) in pruned):
                rows = reader.frame(table.name, week, own, calc_version=version)
                parts.append(rows.assign(week_ending=week.week_ending, tier=str(week.tier)))
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
