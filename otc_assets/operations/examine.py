"""Looks at everything that a run needs, without changing it: what would fail, and why."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa
from upath import UPath

from otc_assets.domain.calendar import today, with_zone
from otc_assets.domain.datasets import ATS, every_dataset
from otc_assets.operations.ownership import owner_of
from otc_assets.operations.recall import store_to_read
from otc_assets.settings import (
    DEFAULTS,
    FOREVER,
    is_address,
    number_setting,
    setting,
    weeks_setting,
)
from otc_assets.sources.files import FileSource
from otc_assets.sources.finra_client import FinraClient, finra_address, finra_credentials
from otc_assets.sources.places import is_local
from otc_assets.warehouse.engine import StoreError, shown

PACKAGES = ("otc_assets", "dagster", "dagster-postgres", "pandas", "sqlalchemy", "psycopg")
SECRETS = ("FINRA_CLIENT_ID", "FINRA_CLIENT_SECRET", "OTC_NOTIFY_URL", "OTC_API_TOKEN")
NEEDED_BYTES, WANTED_BYTES = 200 * 2**20, 2 * 2**30
"""A week of three tiers needs the first; a long range's temporary file may take the second."""
CLOCK_MAY_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    """What was looked at, and how it stands."""

    what: str
    verdict: str
    """well, look (it may be meant so) or fails."""
    detail: str


def examine() -> Iterator[Finding]:
    """Yield what there is to say, one finding after the other; nothing is written."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield Finding("versions", "well", f"Python {sys.version.split()[0]}, {packages}")
    for name in DEFAULTS:
        yield _tried(name, lambda name=name: _setting(name))  # type: ignore[misc]
    yield _tried("numbers", _numbers)
    yield _tried("Dagster's instance", _instance)
    yield _tried("store", _store)
    yield _tried("clock", _clock)
    yield _tried("archive", lambda: _folder("OTC_ARCHIVE_URL"))
    yield _tried("features", lambda: _folder("OTC_FEATURES_URL"))
    yield _tried("source", _source)
    yield _tried("disk, home", lambda: _disk(setting("OTC_HOME")))
    yield _tried("disk, temporary files", lambda: _disk(tempfile.gettempdir()))


def _tried(what: str, look: Callable[[], tuple[str, str]]) -> Finding:
    try:
        return Finding(what, *look())
    except Exception as error:  # whatever it is, the others are looked at too
        return Finding(what, "fails", " ".join(str(error).split()))


def _setting(name: str) -> tuple[str, str]:
    is_set = bool(os.environ.get(name))
    if name in SECRETS:
        return "well", "set" if is_set else "unset"
    value = setting(name)
    if name == "OTC_DATABASE_URL" or (name == "OTC_RATE_LIMIT_URL" and ":" in value):
        value = shown(value)  # also what is no address may have a password in it
    return "well", value if is_set else f"{value} (default)"


def _numbers() -> tuple[str, str]:
    names = (
        "OTC_REQUESTS_PER_SECOND",
        "OTC_GIGABYTES_PER_MONTH",
        "OTC_FOLLOW_WEEKS",
        "OTC_REREAD_WEEKS",
        "OTC_API_REQUESTS_PER_SECOND",
    )
    said = [f"{name} {number_setting(name):g}" for name in names]
    said.append(f"OTC_WEEKS_PER_RUN {weeks_setting('OTC_WEEKS_PER_RUN') or FOREVER}")
    return "well", ", ".join(said)


def _instance() -> tuple[str, str]:
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return "look", "DAGSTER_HOME is not set: what a command runs is not kept for the UI"
    if not Path(home, "dagster.yaml").is_file():
        return "look", f"{home} has no dagster.yaml: Dagster keeps its files there, not in OTC_HOME"
    server = os.environ.get("DAGSTER_POSTGRES_URL")
    if server and not server.startswith("postgresql+psycopg2://"):
        return "fails", "DAGSTER_POSTGRES_URL has to begin with postgresql+psycopg2://"
    return "well", f"{home}/dagster.yaml; runs are in {setting('OTC_DAGSTER_DIR')}"


def _store() -> tuple[str, str]:
    stores = [store_to_read(dataset) for dataset in every_dataset()]
    loaded = []
    for store in stores:
        with store.read() as reader:
            loaded.append(f"{len(reader.loaded_slices()):,} {store.dataset.title} slices")
    return "well", f"{stores[0].store_id}: {', '.join(loaded)}"


def _clock() -> tuple[str, str]:
    store, now = store_to_read(ATS), datetime.now(UTC)
    with store.read() as reader:
        lineage = reader.sql_table("lineage")
        newest = reader.connection.execute(sa.select(sa.func.max(lineage.c.written_at))).scalar()
    newest = with_zone(newest) if newest else None
    said = f"{now:%Y-%m-%d %H:%M} UTC, {today()} in New York"
    if newest and newest > now + CLOCK_MAY_DIFFER:
        return "fails", f"{said}; the store was written at {newest}, which is still to come"
    return "well", said


def _folder(name: str) -> tuple[str, str]:
    root = UPath(setting(name))
    owner = owner_of(root)
    try:
        mine = store_to_read(ATS).store_id
    except StoreError:
        mine = None
    if owner and mine and owner != mine:
        return "fails", f"{root} is of the store {owner}: set {name}"
    if owner is None and root.exists() and any(root.iterdir()):
        return "look", f"{root} has files and nothing tells of which store: run `otc migrate`"
    if is_local(root) and root.exists() and not os.access(root.path, os.W_OK):
        return "fails", f"{root} cannot be written to"
    return "well", f"{root}{'' if owner else ' (nothing is there yet)'}"


def _source() -> tuple[str, str]:
    kind = setting("OTC_SOURCE")
    if kind == "files":
        index = FileSource(setting("OTC_SOURCE_URL")).index(today(), ATS)
        return "well", f"{setting('OTC_SOURCE_URL')}: files of {len(index.versions())} ATS slices"
    if kind != "finra":
        return "fails", f"OTC_SOURCE must be files or finra, and is {kind!r}"
    client = FinraClient(finra_address(), finra_credentials(), attempts=1, timeout_seconds=20)
    return "well", f"{finra_address()} lists {len(client.partitions()):,} partitions"


def _disk(folder: str) -> tuple[str, str]:
    if is_address(folder):
        return "well", f"{folder} is no disk of this machine"
    there = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
    free = shutil.disk_usage(there).free
    verdict = "fails" if free < NEEDED_BYTES else "look" if free < WANTED_BYTES else "well"
    return verdict, f"{free / 2**30:,.1f} GB free at {there}"
