"""A disk that is full or broken: under the store, the archive or the temporary files.

A full disk is a small tmpfs in a mount namespace of its own (`unshare`); a broken one is `strace`,
which lets system calls on the files of one folder fail. Where neither is allowed, no file may grow
beyond a size. ``python -m chaos.disk FOLDER SIZE`` is what runs in the namespace.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from random import Random

from chaos.experiment import Counts, Experiment, Round
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES, REPOSITORY
from otc_assets_tests.pipeline import content, run, weeks

TIER, FIRST, LAST = Tier.OTC, "2025-05-23", "2025-06-06"
SPARE_KILOBYTES = (0, 900)
"""What is free at first; a run needs some 1,000 KB in the store, and 60 KB in the archive."""
CLEAR = (
    *("disk is full", "disk I/O error", "No space left", "Input/output error", "File too large"),
    *("unable to open database", "readonly database"),
)
"""What tells a user that the disk is at fault."""
CALLS = "write,pwrite64,fsync,fdatasync,ftruncate"


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    status: int
    said: str


@cache
def namespace() -> list[str] | None:
    """Return the command that opens a mount namespace; None where that is not allowed."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        tried = [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        with_it = shutil.which("unshare")
        if with_it and subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return command
    return None


@cache
def can_trace() -> bool:
    """Tell whether strace is there and may trace."""
    tried = ["strace", "-o", os.devnull, "true"]
    return bool(shutil.which("strace")) and (
        subprocess.run(tried, capture_output=True, check=False).returncode == 0
    )


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Do a quiet run; the first of its weeks is there before anything fails."""
    before = folder / "before"
    before.mkdir()
    store = Warehouse(f"sqlite:///{before / 'otc.db'}")
    run(store, FIXTURES, before / "archive", weeks([TIER], FIRST, FIRST))
    store.engine.dispose()
    shutil.copytree(before, folder / "quiet")
    quiet = Warehouse(f"sqlite:///{folder / 'quiet' / 'otc.db'}")
    run(quiet, FIXTURES, folder / "quiet" / "archive", weeks([TIER], FIRST, LAST))
    expected = content(quiet)
    quiet.engine.dispose()

    def play(random: Random, counts: Counts) -> None:
        place = folder / "round"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(before, place)
        (place / "tmp").mkdir()
        what = random.choice(("store", "store", "archive", "archive", "tmp"))
        if what != "tmp" and can_trace() and random.random() < 0.5:
            counts[f"{what} broken"] += 1
            _broken(random, place, what, counts)
        elif namespace():
            counts[f"{what} full"] += 1
            _full(random, place, what, counts)
        else:
            counts["files too large"] += 1
            _limited(random, place, counts)
        again = _pipeline(place)
        assert again.status == 0, again.said
        found = Warehouse(f"sqlite:///{place / 'otc.db'}")
        assert content(found) == expected
        with found.read() as reader:
            assert reader.dead_letters() == []
        found.engine.dispose()

    yield play


def _pipeline(place: Path, *before: str, tmp: Path | None = None) -> Done:
    command = [
        *(*before, sys.executable, "-m", "otc_assets_tests.pipeline"),
        *(f"sqlite:///{place / 'otc.db'}", str(FIXTURES), str(place / "archive")),
        *(FIRST, LAST, TIER.value),
    ]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp or place / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stderr)


def check(place: Path, done: Done, what: str, counts: Counts) -> None:
    """Make sure that a failure is told clearly, and that nothing of what was there is lost."""
    with closing(sqlite3.connect(place / "otc.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        query = "SELECT count(*) FROM revisions WHERE week_ending = ?"
        assert connection.execute(query, (FIRST,)).fetchone() == (1,)
        reasons = connection.execute("SELECT error FROM dead_letters").fetchall()
    counts["runs failed"] += bool(done.status)
    counts["slices refused"] += len(reasons)
    for (reason,) in reasons:
        assert any(clear in reason for clear in CLEAR), reason
    if done.status:
        assert any(clear in done.said for clear in CLEAR), done.said[-3000:]
        assert what == "store", f"the {what} ended the run: {done.said[-3000:]}"


def _broken(random: Random, place: Path, what: str, counts: Counts) -> None:
    """Let the n-th system call on some files fail, and all after it."""
    error, number = random.choice(("EIO", "ENOSPC")), random.randint(1, 60)
    names = {
        "store": [f"otc.db{end}" for end in ("", "-wal", "-shm", "-journal")],
        "archive": ["archive"],
    }[what]
    # strace names files, and no folders: of the archive it is the folder in which files are made.
    calls = CALLS if what == "store" else "openat,mkdir,rename"
    paths = [part for name in names for part in ("-P", str(place / name))]
    trace = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        os.devnull,
        *paths,
        "-e",
        f"trace={calls}",
    ]
    if what == "archive":
        folders = sorted({str(p) for p in (place / "archive").rglob("*") if p.is_dir()})
        trace = [*trace, *(part for path in folders for part in ("-P", path))]
        number = random.randint(1, 3)
    trace += ["-e", f"inject={calls}:error={error}:when={number}+"]
    check(place, _pipeline(place, *trace), what, counts)


def _limited(random: Random, place: Path, counts: Counts) -> None:
    """Let no file grow beyond a size."""
    kilobytes = (place / "otc.db").stat().st_size // 1024 + random.randint(*SPARE_KILOBYTES)
    limit = ["bash", "-c", f'ulimit -f {kilobytes}; trap "" XFSZ; exec "$@"', "bash"]
    check(place, _pipeline(place, *limit), "store", counts)


def _full(random: Random, place: Path, what: str, counts: Counts) -> None:
    """Put a part on a small disk, run, and take what is on it back."""
    spare = random.randint(*SPARE_KILOBYTES) if what == "store" else random.randint(0, 60)
    done = subprocess.run(
        [*(namespace() or ()), sys.executable, "-m", "chaos.disk", str(place), what, str(spare)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    check(place, Done(**json.loads(done.stdout.splitlines()[-1])), what, counts)


def main(folder: str, what: str, spare: str) -> None:
    """Run with a part on a small disk, in a namespace of our own."""
    place, small = Path(folder), Path(folder, "small")
    small.mkdir()
    parts = {"store": ["otc.db"], "archive": ["archive"], "tmp": ["tmp"]}[what]
    used = sum(p.stat().st_size // 4096 + 1 for n in parts for p in _files(place / n)) * 4
    size = f"size={used + int(spare)}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(small)], check=True)
    if what == "store":  # SQLite's own files lie beside it
        shutil.copy(place / "otc.db", small)
        shutil.copytree(place / "archive", place / "kept")
        (small / "archive").symlink_to(place / "archive")
        done = _pipeline(small, tmp=place / "tmp")
        for path in small.glob("otc.db*"):
            shutil.copy(path, place)
    else:
        shutil.copytree(place / what, small / what, dirs_exist_ok=True)
        shutil.rmtree(place / what)
        (place / what).symlink_to(small / what)
        done = _pipeline(place)
        (place / what).unlink()
        shutil.copytree(small / what, place / what)
    print(json.dumps(asdict(done)))


def _files(path: Path) -> list[Path]:
    return [each for each in (path, *path.rglob("*")) if each.is_file()]


DISK = Experiment(
    name="disk",
    claim="a full or broken disk is told clearly, costs nothing that was there, and heals",
    short=3,
    long=400,
    prepare=prepare,
)

if __name__ == "__main__":
    main(*sys.argv[1:])
