"""The feature files of the months and days: a table of a dataset, as it was known.

``_ats_blocks/period=2025-05-01/features.parquet``, and of a dataset with tiers
``_monthly_non_ats/tier_slug=nms/period=2025-05-01/features.parquet``. Who reads the weekly files
above them as one table passes by folders whose name begins with an underscore. The parts of the
path are not called as the columns of the file, with which they would clash.
"""

from datetime import date
from functools import cache
from typing import Any

import pandas as pd
import pyarrow as pa
from upath import UPath

from otc_assets.calculations import calculations_of
from otc_assets.calculations.spec import CalculationSpec
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.shares import floats_in_shares
from otc_assets.domain.tables import EXACT, OTHER_TIER, Column, ColumnType
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.snapshot import days_of_knowledge
from otc_assets.research.changes import rows_of_days
from otc_assets.research.feature_files import (
    FILE,
    Exported,
    Inspected,
    export_slice,
    inspect_slice,
)
from otc_assets.research.feature_layout import FeatureColumn, Layout, about
from otc_assets.warehouse.reader import SliceReader, named
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

TYPES = {
    ColumnType.TEXT: pa.string(),
    ColumnType.DATE: pa.date32(),
    ColumnType.COUNT: pa.int64(),
    ColumnType.FLAG: pa.bool_(),
}
"""What is not here is a quantity or a number: a float."""


def calculation_of(dataset: Dataset) -> CalculationSpec:
    """Return the calculation that gives the features of a dataset: the newest of its table."""
    return calculations_of(dataset.features)[-1].spec


@cache
def layout_of(dataset: Dataset) -> Layout:
    """Return what the feature files of a dataset are like: its table, and when a row was known."""
    spec = calculation_of(dataset)
    sections = (OTHER_TIER,) if len(dataset.slicing.sections) > 1 else ()
    record = [column for column in spec.columns if column.name in spec.key]
    features = [column for column in spec.columns if column.name not in spec.key]
    source = f"FINRA {dataset.title} data ({dataset.set_name})"
    return Layout(
        slice=tuple(map(_described, (dataset.grain.column, *sections))),
        record=tuple(map(_described, record)),
        features=tuple(_described(column, nullable=True) for column in features),
        measure=next(column.name for column in features if not column.nullable),
        about=about(source, spec.label),
    )


def _described(column: Column, *, nullable: bool = False) -> FeatureColumn:
    kind = TYPES.get(column.type, pa.float64())
    return FeatureColumn(column.name, kind, column.description, nullable)


def period_file_of(root: UPath, dataset: Dataset, key: SliceKey) -> UPath:
    """Return where the file of a slice is."""
    folder = root / f"_{dataset.name}"
    if len(dataset.slicing.sections) > 1:
        folder /= f"tier_slug={key.slug}"
    return folder / f"period={key.period}" / FILE


def period_history(reader: SliceReader, key: SliceKey) -> pd.DataFrame:
    """Return the rows of a slice's file: one per row of the table and day that changed it."""
    dataset = reader.dataset
    revisions = reader.revisions([key])[key]

    def known_on(day: date) -> pd.DataFrame:
        return _rows(Knowledge(reader, key, day)[dataset.features], dataset)

    days = days_of_knowledge(revisions, revisions)
    return rows_of_days(days, known_on, revisions, layout_of(dataset), named(key))


def _rows(table: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Return what the newest version has computed, quantities in shares."""
    spec = calculation_of(dataset)
    rows = table.loc[table["calc_version"] == spec.version, list(spec.output_columns)].copy()
    for column in spec.columns:
        values: Any = rows[column.name]
        if column.type in EXACT:
            rows[column.name] = floats_in_shares(values)
        elif column.type is ColumnType.COUNT:
            rows[column.name] = values.astype("Int64")
        elif column.type is ColumnType.NUMBER:
            rows[column.name] = values.astype("float64")
    return rows


def export_period(store: Warehouse, root: UPath, key: SliceKey, run: RunIds) -> Exported:
    """Compute the rows of one slice and write its file, under the lock of the slice."""
    dataset = store.dataset
    path, layout = period_file_of(root, dataset, key), layout_of(dataset)
    with store.write(key, run) as writer:
        return export_slice(
            writer, key, dataset.features, path, layout, lambda: period_history(writer, key)
        )


def inspect_period(store: Warehouse, root: UPath, key: SliceKey) -> Inspected:
    """Look for faults in the file of a slice; there are none where none is to be written."""
    dataset = store.dataset
    path, layout = period_file_of(root, dataset, key), layout_of(dataset)
    return inspect_slice(store, key, dataset.features, path, layout)
