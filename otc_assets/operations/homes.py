"""Brings what an earlier version has left to this version's home: files, tables and ownership.

Before there was a home, `.otc` held everything, the demo's and a user's alike.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from upath import UPath

from otc_assets.domain.datasets import every_dataset
from otc_assets.operations.ownership import archive_keys, claim_archive, claim_features, owner_of
from otc_assets.settings import MOVING, PARTS_OF_OLD, old_parts, project, setting
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.store import Store, Warehouse


def bring_up() -> Iterator[str]:
    """Bring the home that is set to this version; yield a line for each thing that was done.

    Safe to repeat. No store is created where there is none.

    Raises:
        OwnershipError: archive or features are another store's.

    """
    yield from move_old_parts()
    url = setting("OTC_DATABASE_URL")
    if not _is_there(url):
        return
    stores = [Warehouse(url, dataset) for dataset in every_dataset()]
    for store in stores:
        store.engine  # noqa: B018  # migrates
    archive = UPath(setting("OTC_ARCHIVE_URL"))
    if owner_of(archive) is None:
        brought = bring_archive(stores[0], archive)
        if brought:
            yield (
                f"{brought} archived files of this store were copied to {archive}; materialize "
                "`features` and `research_page` to have these anew"
            )
    claim_archive(stores[0], archive)
    claim_features(stores[0], UPath(setting("OTC_FEATURES_URL")))


def _is_there(url: str) -> bool:
    parsed = sa.make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(str(parsed.database)).is_file()


def move_old_parts() -> Iterator[str]:
    """Move what an earlier version kept in `.otc` to `.otc/home`, or `.otc/demo` if it is that."""
    folder = project() / ".otc"
    moving = folder / MOVING
    if not old_parts():
        return
    moving.mkdir(exist_ok=True)  # or one that was killed goes on
    for part in PARTS_OF_OLD:
        # First what SQLite has not yet taken into the file.
        for name in (f"{part}-wal", f"{part}-shm", part):
            if (folder / name).exists():
                (folder / name).rename(moving / name)
    target = _free(folder / ("demo" if _is_the_demos(moving / "otc.db") else "home"))
    moving.rename(target)
    yield f"what an earlier version kept in {folder} is now the home {target}"


def _free(folder: Path) -> Path:
    """Return a folder, or one with a number after it, that is not there or empty."""
    candidate, number = folder, 1
    while candidate.exists() and any(candidate.iterdir()):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _is_the_demos(database: Path) -> bool:
    """Tell whether all that a store has ever read are this project's fixtures."""
    if not database.is_file():
        return False
    fixtures = (path for path in (project() / "fixtures").rglob("*") if path.is_file())
    made_up = {hashlib.sha256(path.read_bytes()).hexdigest() for path in fixtures}
    engine = create_engine(f"sqlite:///{database}", read_only=True)
    read: set[str] = set()
    with engine.connect() as connection:
        there = set(sa.inspect(connection).get_table_names())
        for name in {dataset.table_name("revisions") for dataset in every_dataset()} & there:
            revisions = sa.table(name, sa.column("source_sha256"))
            read |= set(connection.execute(sa.select(revisions.c.source_sha256)).scalars())
    engine.dispose()
    return bool(read) and read <= made_up


def bring_archive(store: Store, root: UPath) -> int:
    """Copy what the store has read, and its archive lacks, from the homes in `.otc`; count it."""
    count = 0
    kept = Archive(str(root))
    others = [UPath(folder) for folder in (project() / ".otc").glob("*/archive")]
    for key in archive_keys(store):
        if (root / key).exists():
            continue
        other = next((other for other in others if (other / key).exists()), None)
        if other:
            kept.restore(key, Archive(str(other)).get(key))
            count += 1
    return count
