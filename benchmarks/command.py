"""Runs ``dagster asset materialize`` as a process of its own, as CI does."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from otc_assets.assets.partitions import partition_key_of
from otc_assets.domain.weeks import WeekKey

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Done:
    """What a command took."""

    seconds: float
    peak_mb: float


def partition(week: WeekKey) -> list[str]:
    """Return the option that names one slice."""
    return ["--partition", partition_key_of(week)]


def partition_range(first: WeekKey, last: WeekKey) -> list[str]:
    """Return the option that names the slices of a range."""
    return ["--partition-range", f"{partition_key_of(first)}...{partition_key_of(last)}"]


def materialize(
    folder: Path,
    options: list[str],
    module: str = "otc_assets.definitions",
    database_url: str | None = None,
) -> Done:
    """Materialize every asset of a module; store, source and instance are in ``folder``.

    The store is a SQLite file there, unless ``database_url`` names another.

    Raises:
        RuntimeError: the command has failed; the message is the end of its output.

    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "OTC_DATABASE_URL": database_url or f"sqlite:///{folder / 'otc.db'}",
        "OTC_SOURCE": "files",
        "OTC_SOURCE_URL": str(folder / "source"),
        "OTC_ARCHIVE_URL": str(folder / "archive"),
        "OTC_FEATURES_URL": str(folder / "features"),
        "OTC_PAGE_URL": str(folder / "research.html"),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",  # as the Makefile sets it
    }
    command = [Path(sys.executable).with_name("dagster"), "asset", "materialize"]
    command += ["-m", module, "--select", "*", *options]
    log = folder / "command.log"
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(log.read_text()[-2000:])
    return Done(time.perf_counter() - started, usage.ru_maxrss / 1024)
