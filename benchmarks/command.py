"""Runs ``dagster asset materialize`` as a process of its own, as CI does."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.entry import ROOT
from otc_assets.assets.partitions import partition_key_of
from otc_assets.domain.weeks import WeekKey


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
    home: Path,
    options: list[str],
    module: str = "otc_assets.definitions",
    select: str = "tag:grain=week",
    database_url: str = "",
) -> Done:
    """Materialize assets of a module, by default all of weeks, in a home with its ``source``.

    The store is a SQLite file there, unless ``database_url`` names another.

    Raises:
        CalledProcessError: the command has failed.

    """
    environment = os.environ | {
        "OTC_HOME": str(home),
        "OTC_DATABASE_URL": database_url,
        "PYTHONPATH": str(ROOT),
    }
    command = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize"]
    command += ["-m", module, "--select", select, *options]
    started = time.perf_counter()
    # In the home, since Dagster reads settings from a file `.env` where it is started.
    process = subprocess.Popen(command, cwd=home, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return Done(time.perf_counter() - started, usage.ru_maxrss / 1024)
