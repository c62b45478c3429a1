"""The fingerprints that fixture weeks must have, on each database and each Python.

``golden/fingerprints.json`` was written by ``python -m otc_assets_tests.fingerprints``, with SQLite
and Python 3.11. Write it anew only after a change that is meant to change what tables hold: the
diff then names the slices and tables that it changes.
"""

import json
import tempfile
from pathlib import Path

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import run, weeks

GOLDEN = Path(__file__).parent / "golden" / "fingerprints.json"
SLICES = weeks(Tier, "2025-05-16", "2025-06-20")
"""Fractions, twins, rejects and a corrected week are among them."""

Prints = dict[str, dict[str, dict[str, str]]]


def fingerprints_of(warehouse: Warehouse, slices: list[WeekKey]) -> Prints:
    """Return the fingerprints of slices as the manifest has them: by slice, table and part."""
    with warehouse.read() as reader:
        return {str(week): (reader.manifest(week) or {})["fingerprints"] for week in slices}


def golden() -> Prints:
    """Return what they must be."""
    prints: Prints = json.loads(GOLDEN.read_text())
    return prints


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        store = Warehouse(f"sqlite:///{folder}/otc.db")
        run(store, FIXTURES, f"{folder}/archive", SLICES)
        GOLDEN.write_text(json.dumps(fingerprints_of(store, SLICES), indent=1) + "\n")
        store.engine.dispose()
