"""Which store an archive, a feature folder and a page are of, so that no other one writes there.

A folder carries its store's id in a file, the page in its head. Reading is free: the archive of one
store may well be the source of another.
"""

import io
import re
from collections.abc import Iterator
from itertools import islice

import pyarrow.parquet as pq
import sqlalchemy as sa
from upath import UPath

from otc_assets.domain.datasets import every_dataset
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.places import make_folder, write_whole
from otc_assets.warehouse.schema import sql_table
from otc_assets.warehouse.store import Store

MARKER = ".otc-store"
"""The file in a folder that holds the id of its store."""
UNKNOWN = "has files, and nothing tells that they are of this store"
LOOKED_AT = 20
"""Revisions of a store of which one is looked for in an archive without a marker."""

_OWNER_OF_PAGE = re.compile(r'<meta name="otc-store" content="([^"]*)">')


class OwnershipError(ValueError):
    """What was to be written to belongs to another store, or nobody can tell to which."""


def claim_archive(store: Store, root: UPath) -> None:
    """Make an archive this store's, if it is nobody's.

    One without a marker, of a version that set none, is this store's if it has files that the store
    knows.

    Raises:
        OwnershipError: it is of another store, it has files that this store does not know, or the
            store knows files and none of them is there.

    """
    if _is_marked(store, root, "OTC_ARCHIVE_URL"):
        return
    keys = list(islice(archive_keys(store), LOOKED_AT))
    is_known = any((root / key).exists() for key in keys)
    is_foreign = not is_known and (keys or _has_files(root))
    # Another process of this store may have made it this store's in the meantime.
    if is_foreign and not _is_marked(store, root, "OTC_ARCHIVE_URL"):
        lacks = "has none of the files that this store has read"
        raise _nobodys(store, root, lacks if keys else UNKNOWN, "OTC_ARCHIVE_URL")
    _mark(store, root)


def check_archive(store: Store, root: UPath) -> None:
    """Let an archive be read for this store that is its own, or that nothing tells whose it is.

    Raises:
        OwnershipError: it is of another store.

    """
    if (owner := owner_of(root)) not in (None, store.store_id):
        raise OwnershipError(
            f"the archive {root} is of the store {owner}, and this one is "
            f"{store.store_id} ({store.address}): set OTC_ARCHIVE_URL or OTC_HOME to its own"
        )


def claim_features(store: Store, root: UPath) -> None:
    """Make a folder of feature files this store's, if it is nobody's.

    One without a marker is this store's if the symbols of a file are those that the store knows.

    Raises:
        OwnershipError: it is of another store, or has files that this store does not know.

    """
    if _is_marked(store, root, "OTC_FEATURES_URL"):
        return
    is_foreign = _has_files(root) and not _knows_features(store, root)
    if is_foreign and not _is_marked(store, root, "OTC_FEATURES_URL"):
        raise _nobodys(store, root, UNKNOWN, "OTC_FEATURES_URL")
    _mark(store, root)


def check_page(store: Store, path: UPath) -> None:
    """Let a page be replaced that is this store's, or of a version that did not say whose it was.

    Raises:
        OwnershipError: there is another store's page, or a file that is none of ours.

    """
    if not path.exists():
        return
    text = path.read_text(errors="replace")
    found = _OWNER_OF_PAGE.search(text)
    if found and found[1] != store.store_id:
        raise _another(store, str(path), found[1], "OTC_PAGE_URL")
    if not found and "<title>FINRA weekly volume" not in text:
        raise OwnershipError(
            f"{path} is no page of this project and is left alone: set OTC_PAGE_URL to another file"
        )


def owner_of(root: UPath) -> str | None:
    """Return the id of the store that a folder is of, None if nothing tells."""
    marker = root / MARKER
    root.fs.invalidate_cache()
    # An empty one was left by an earlier version that was killed while it wrote it.
    return (marker.read_text().strip() or None) if marker.exists() else None


def _is_marked(store: Store, root: UPath, setting: str) -> bool:
    owner = owner_of(root)
    if owner not in (None, store.store_id):
        raise _another(store, f"{root}", f"{owner}", setting)
    return owner is not None


def _mark(store: Store, root: UPath) -> None:
    make_folder(root)
    write_whole(root / MARKER, f"{store.store_id}\n".encode())


def _nobodys(store: Store, root: UPath, has: str, setting: str) -> OwnershipError:
    return OwnershipError(
        f"{root} {has}, {store.store_id} ({store.address}). Nothing is written there. Set "
        f"{setting} or OTC_HOME to a place of this store's own, run `otc migrate` if an earlier "
        f"version kept its files elsewhere, or, if {root} is this store's, write its id into "
        f"{root / MARKER}"
    )


def _another(store: Store, place: str, owner: str, setting: str) -> OwnershipError:
    return OwnershipError(
        f"{place} is of the store {owner}, and this one is {store.store_id} ({store.address}). "
        f"Nothing is written there: set {setting} or OTC_HOME to a place of its own. If that store "
        "is gone and this one replaces it, write this one's id in the place of the other"
    )


def _has_files(root: UPath) -> bool:
    """Tell whether a folder has files, other than a marker or what a kill has left of one."""
    files = (path for path in root.rglob("*") if not path.name.startswith("."))
    return root.is_dir() and any(path.is_file() for path in files)


def _knows_features(store: Store, root: UPath) -> bool:
    """Tell whether a file of the folder has the symbols that the store knows of its slice."""
    for path in islice(root.glob("tier_slug=*/week=*/*.parquet"), LOOKED_AT):
        names = ["tier", "week_ending", "symbol"]
        rows = pq.read_table(io.BytesIO(path.read_bytes()), columns=names).to_pandas()
        if len(rows):
            week = WeekKey(rows["tier"].iloc[0], rows["week_ending"].iloc[0])
            with store.read() as reader:
                known = set(reader.frame("research_snapshot", week, ["symbol"])["symbol"])
            return set(rows["symbol"]) <= known
    return False


def archive_keys(store: Store) -> Iterator[str]:
    """Return the keys of what the store has read, of all datasets, the newest weeks first."""
    with store.engine.connect() as connection:
        for dataset in every_dataset():
            revisions = sql_table("revisions", dataset)
            newest = revisions.c[dataset.grain.column.name].desc()
            query = sa.select(revisions.c.archive_key).order_by(newest)
            yield from connection.execute(query).scalars()
