"""Writes the features of the fixtures' Tier 1 weeks, with the project's own Python, for the test.

``python feast/write_features.py FOLDER`` leaves a store and an archive beside ``FOLDER/features``.
"""

import sys
from datetime import date
from pathlib import Path

from upath import UPath

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.research.export import Stores, export
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
TODAY = date(2026, 1, 15)
"""All fixture weeks and the correction are public."""
WEEKS = [WeekKey(Tier.NMS_TIER_1, date(2025, 5, 2)).shifted(n) for n in range(10)]


def main(folder: Path) -> None:
    """Load both datasets, and export every week."""
    run = RunIds("feast", "feast")
    stores = [Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset) for dataset in DATASETS]
    for store in stores:
        index = FileSource(str(FIXTURES)).index(TODAY, store.dataset)
        archive = Archive(str(folder / "archive"), store.dataset)
        for week in WEEKS:
            ingest(store, archive, index, week, run, TODAY)
            for table in output_tables():
                derive(store, table.name, week, run)
    ats, non_ats = stores
    for week in WEEKS:
        export(Stores(ats, non_ats), UPath(folder / "features"), week, run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
