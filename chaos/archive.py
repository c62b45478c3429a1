"""An archive whose store fails at one call: it raises, loses its answer, or answers half."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from fsspec.implementations.memory import MemoryFileSystem

from chaos.experiment import Counts, Experiment, Round
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive, sha256_of
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import RUN, TODAY, content, weeks

CALLS = ("open", "cat_file", "pipe_file", "info", "exists", "ls", "glob", "cp_file", "rm_file")
HOW = ("raises", "loses its answer", "answers half")
SLICES = [
    *weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-23"),
    *weeks([Tier.OTC], "2025-05-23", "2025-05-23"),
]
"""A corrected week is among them."""
ROOT = "memory://archive"
SOURCE = FileSource(str(FIXTURES))
"""Remembers which files it has looked into."""


class Flaw:
    """Lets the n-th call of a file system fail; calls within a call count as one."""

    def __init__(self, number: int, how: str) -> None:
        """Fail at call ``number`` (0: at none) in the way of ``how``."""
        self.number = number
        self.how = how
        self.calls = 0
        self._depth = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Put it between the archive and its store."""
        flawed = {name: self._flawed(name) for name in CALLS}
        with mock.patch.multiple(MemoryFileSystem, **flawed):
            yield

    def _flawed(self, name: str) -> Callable[..., Any]:
        real = getattr(MemoryFileSystem, name)

        @wraps(real)
        def call(system: MemoryFileSystem, *args: Any, **options: Any) -> Any:
            self.calls += not self._depth
            is_chosen = not self._depth and self.calls == self.number
            self._depth += 1
            try:
                if is_chosen and self.how == "raises":
                    raise OSError("503 Slow Down")
                answer = real(system, *args, **options)
                return self._spoilt(answer) if is_chosen else answer
            finally:
                self._depth -= 1

        return call

    def _spoilt(self, answer: Any) -> Any:
        if isinstance(answer, io.BytesIO) and not answer.getbuffer().nbytes:  # to be written
            return _Unanswered(answer)
        if self.how == "loses its answer":
            raise TimeoutError("Read timeout on endpoint URL")
        if isinstance(answer, io.BytesIO):
            return io.BytesIO(answer.getvalue()[: len(answer.getvalue()) // 2])
        return answer[: len(answer) // 2] if isinstance(answer, bytes | list) else answer


class _Unanswered(io.BytesIO):
    """A file that is written, whose writer is not told so."""

    def __init__(self, real: io.BytesIO) -> None:
        super().__init__()
        self._real = real

    def close(self) -> None:
        if not self.closed:
            self._real.write(self.getvalue())
            self._real.close()
            super().close()
            raise TimeoutError("Read timeout on endpoint URL")


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Do one quiet run, which tells how many calls there are, what is stored, and under what keys.

    The archive has one week from before.
    """
    empty, before = folder / "empty.db", folder / "before.db"
    Warehouse(f"sqlite:///{empty}").engine.dispose()
    shutil.copy(empty, before)
    MemoryFileSystem.store.clear()
    _take_in(before, SLICES[:1])
    archived = {key: file.getvalue() for key, file in MemoryFileSystem.store.items()}
    quiet, flaw = folder / "quiet.db", Flaw(0, "")
    shutil.copy(before, quiet)
    with flaw.at_work():
        _take_in(quiet, SLICES)
    keys, expected = _archived(), _content(quiet)

    calls = flaw.calls

    def play(random: Random, counts: Counts) -> None:
        store = folder / "otc.db"
        shutil.copy(before, store)
        _put_back(archived)
        flaw = Flaw(random.randint(1, calls), random.choice(HOW))
        with flaw.at_work():
            _take_in(store, SLICES)
        counts[flaw.how] += 1
        counts["slices refused"] += _check_standing(store)
        assert _archived() >= keys & {f"/archive/{key}" for key in _known(store)}
        _take_in(store, SLICES)
        assert _content(store) == expected, f"call {flaw.number} {flaw.how}"
        assert _check_standing(store) == 0
        left = _archived()
        assert left >= keys, keys - left
        assert all("/refused/" in key for key in left - keys), left - keys

    yield play


def _take_in(path: Path, slices: list[Any]) -> None:
    store = Warehouse(f"sqlite:///{path}")
    index = SOURCE.index(TODAY)
    for week in slices:
        ingest(store, Archive(ROOT), index, week, RUN, TODAY)
    store.engine.dispose()


def _content(path: Path) -> str:
    store = Warehouse(f"sqlite:///{path}")
    try:
        return content(store)
    finally:
        store.engine.dispose()


def _known(path: Path) -> set[str]:
    store = Warehouse(f"sqlite:///{path}")
    with store.read() as reader:
        keys = {r["archive_key"] for week in SLICES for r in reader.records("revisions", week)}
    store.engine.dispose()
    return keys


def _check_standing(path: Path) -> int:
    """Make sure that each slice is loaded whole or refused with a reason; count the latter."""
    store = Warehouse(f"sqlite:///{path}")
    refused = 0
    with store.read() as reader:
        letters = {letter["week_ending"]: letter["error"] for letter in reader.dead_letters()}
        for week in SLICES:
            row = reader.manifest(week) or {}
            if row["status"] == SliceStatus.LOADED:
                continue
            refused += 1
            assert "OTC_ARCHIVE_URL" in row["reason"] or "were archived" in row["reason"], row
            assert letters[week.week_ending] == row["reason"]
    store.engine.dispose()
    return refused


def _archived() -> set[str]:
    """Return the keys that are there; each has its own bytes."""
    for key, file in MemoryFileSystem.store.items():
        assert sha256_of(file.getvalue()) == key.split("/")[-2], f"wrong bytes under {key}"
    return set(MemoryFileSystem.store)


def _put_back(files: dict[str, bytes]) -> None:
    MemoryFileSystem.store.clear()
    for key, data in files.items():
        MemoryFileSystem().pipe_file(key, data)


ARCHIVE = Experiment(
    name="archive",
    claim="a slice is refused with a reason or taken in whole, and no key has other bytes",
    short=8,
    long=2000,
    prepare=prepare,
)
