"""The store that is set, bounded in time, and opened anew if another one is in its place."""

import os

from otc_assets.research.knowledge import plain_store, store_of
from otc_assets.serving.limits import QUERY_SECONDS
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.migrate import Schema, schema_of
from otc_assets.warehouse.store import WHAT_TO_DO, Store

_files: dict[Store, int] = {}
"""The number of each SQLite file that was opened."""


def store_named(dataset: str) -> Store:
    """Return the store of a dataset, to read.

    Raises:
        StoreError: there is none, or it is of another version.

    """
    store = plain_store(dataset, None)
    if store not in _files:  # before its first connection
        store.query_seconds = QUERY_SECONDS
    if _file(store) != _files.get(store):
        store.close()
        _files[store] = _file(store)
    return store


def store_asked(dataset: str) -> Store:
    """Return the same, of which it is known that it has a week of the dataset.

    Raises:
        StoreError: it has none, as well.

    """
    store_named(dataset)
    return store_of(dataset, None)


def check(dataset: str) -> None:
    """Ask the store, and look at its schema.

    Raises:
        StoreError: it does not answer, or it is of another version than this.

    """
    store = store_named(dataset)
    with store.read() as reader:
        reader.has_content()
    schema = schema_of(store.engine, store.dataset)
    if schema is not Schema.CURRENT:
        store.close()
        raise StoreError(f"the store {store.address} {WHAT_TO_DO[schema]}")


def _file(store: Store) -> int:
    if store.engine.dialect.name != "sqlite":
        return 0
    path = str(store.engine.url.database)
    try:
        return os.stat(path).st_ino
    except OSError as error:
        store.close()
        raise StoreError(f"the store {store.address} is gone: {error.strerror}") from None
