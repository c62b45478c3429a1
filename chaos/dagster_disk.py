"""The disk of Dagster's own runs and events is full; the store is on another.

``python -m chaos.dagster_disk KILOBYTES`` is what runs in a mount namespace, on OTC_HOME.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from chaos.disk import CLEAR, namespace
from chaos.experiment import Counts, Experiment, Round
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES, REPOSITORY
from otc_assets_tests.pipeline import content

FIRST, LAST = "OTC|2025-05-23", "OTC|2025-05-30"
COMMAND = [
    *(sys.executable, "-m", "dagster", "asset", "materialize", "-m", "otc_assets.definitions"),
    *("--select", "raw,venue_volume", "--partition-range", f"{FIRST}...{LAST}"),
]
MOST_KILOBYTES = 1400
"""A run needs about as much with what SQLite has beside its files."""


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Do one quiet run."""
    quiet = folder / "quiet"
    _settle(quiet)
    done = subprocess.run(
        COMMAND, cwd=REPOSITORY, env=_environment(quiet), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    expected = _content(quiet)

    def play(random: Random, counts: Counts) -> None:
        if namespace() is None:
            counts["not allowed here"] += 1
            return
        home = folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        _settle(home)
        size = str(random.randint(100, MOST_KILOBYTES))
        done = subprocess.run(
            [*(namespace() or ()), sys.executable, "-m", "chaos.dagster_disk", size],
            cwd=REPOSITORY,
            env=_environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        counts["runs failed"] += int(done.stdout.splitlines()[-1])
        assert _content(home) == expected, f"{size} KB"

    yield play


def _settle(home: Path) -> None:
    (home / "dagster").mkdir(parents=True)
    (home / "source").symlink_to(FIXTURES)


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "OTC_HOME": str(home), "OTC_DAGSTER_DIR": str(home / "dagster")}


def _content(home: Path) -> str:
    store = Warehouse(f"sqlite:///{home / 'otc.db'}")
    with store.read() as reader:
        assert {week.tier for week in reader.loaded_slices()} == {Tier.OTC}
    found = content(store)
    store.engine.dispose()
    return found


def main(kilobytes: str) -> None:
    """Run on a small disk, and again once there is room; print whether the first run failed."""
    disk = os.environ["OTC_DAGSTER_DIR"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", disk], check=True)
    first = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    said = first.stdout + first.stderr
    assert first.returncode == 0 or any(clear in said for clear in CLEAR), said[-3000:]
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
    again = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    print(int(first.returncode != 0))


DAGSTER_DISK = Experiment(
    name="dagster_disk",
    claim="a full disk under Dagster's own storage ends the run clearly, and the same run heals",
    short=1,
    long=60,
    prepare=prepare,
)

if __name__ == "__main__":
    main(*sys.argv[1:])
