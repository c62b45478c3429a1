"""The registry as a file for people and spreadsheets, beside the feature files."""

from upath import UPath

from otc_assets.research.extract import frame_batch, write
from otc_assets.research.registry.known import venue_registry
from otc_assets.sources.places import make_folder
from otc_assets.warehouse.store import Store

FILE = "_venue_registry.csv"
"""Who reads the feature files as one table passes by names that begin so."""


def write_registry(store: Store, root: UPath) -> tuple[str, int]:
    """Write the registry of a store's datasets as it is known now; return where, and its rows.

    The file is written whole; if the store has no week, it stays as it is.
    """
    path = root / FILE
    if not store.has_content():
        return str(path), 0
    make_folder(root)
    return str(path), write(str(path), "csv", frame_batch(venue_registry(database_url=store.url)))
