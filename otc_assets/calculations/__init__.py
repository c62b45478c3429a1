"""The calculations, one file each: a pure function from frames to a frame, and its spec.

Adding a file here adds its table, asset, columns, checks and docs. Belongs here: formulas. Does
not belong here: files, databases, Dagster. May import only `otc_assets.domain`.
"""

from otc_assets.calculations.registry import (
    all_calculations,
    calculation_labelled,
    calculations_of,
    derived_tables_of,
    get_calculation,
    output_tables,
    retired_versions,
    successor_of,
    tables_of,
)
from otc_assets.calculations.spec import Calculation, CalculationSpec, Frames, calculation

__all__ = [
    "Calculation",
    "CalculationSpec",
    "Frames",
    "all_calculations",
    "calculation",
    "calculation_labelled",
    "calculations_of",
    "derived_tables_of",
    "get_calculation",
    "output_tables",
    "retired_versions",
    "successor_of",
    "tables_of",
]
