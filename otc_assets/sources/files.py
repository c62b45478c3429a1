"""A folder of source files, local or at any address that fsspec knows, and its index by slice."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from upath import UPath

from otc_assets.domain.datasets import ATS, Dataset, every_dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.sources.archive import archived_on, is_as_archived
from otc_assets.sources.dialects import read_lines
from otc_assets.sources.errors import SourceError
from otc_assets.sources.resolve import NameHint, dataset_of, hint_of, resolve
from otc_assets.tracing import current, traced

SUFFIXES = {".csv", ".psv", ".txt", ".json"}
MAX_BYTES = 256 * 2**20
"""FINRA's largest week of one tier is below 30 MB as CSV, and some 100 MB as JSON: a file beyond
this is something else, and is not read."""
SAMPLE_WHOLE = 2**20
"""Files up to this size are read whole to tell their slice; of larger ones, parts."""
SAMPLE_PARTS, SAMPLE_PART = 16, 2**16


@dataclass(frozen=True)
class SourceFile:
    """One file of the folder, and which slice it is of or why that cannot be told."""

    path: UPath
    size: int
    changed_at: float = 0
    """When it was last written (POSIX time; 0 where a store tells none)."""
    dataset: Dataset = ATS
    week: SliceKey | None = None
    error: SourceError | None = None

    @property
    def name(self) -> str:
        """The file's own name, which tells a week and goes into lineage."""
        return self.path.name

    @property
    def hint(self) -> NameHint:
        """What the name alone says."""
        return hint_of(self.name, self.dataset)

    @property
    def known_on(self) -> date | None:
        """The day from which its content was known, where it lies in an archive of ours."""
        return archived_on(self.path)

    @traced("fetch")
    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            SourceError: larger than `MAX_BYTES`, it cannot be read, or it is an archived file whose
                bytes have changed.

        """
        if self.size > MAX_BYTES:
            raise SourceError(
                self.name,
                f"is {self.size:,} bytes; no week of FINRA's has over {MAX_BYTES:,}: split it "
                "into one file per (tier, week)",
            )
        try:
            data = self.path.read_bytes()
        except Exception as error:  # every kind of store has its own
            raise SourceError(self.name, f"cannot be read: {error}") from error
        if not is_as_archived(self.path, data):
            raise SourceError(self.name, "the bytes are not those that were archived")
        current().set(file=self.name, bytes=len(data))
        return data


class SourceIndex:
    """Which files there are for which slice."""

    source = "files"
    follows_calendar = False

    def __init__(self, files: Iterable[SourceFile]) -> None:
        """Index ``files``."""
        self.placed: dict[SliceKey, list[SourceFile]] = {}
        self.unplaced: list[SourceFile] = []
        for file in sorted(files, key=lambda f: str(f.path)):
            if file.week is None:
                self.unplaced.append(file)
            else:
                self.placed.setdefault(file.week, []).append(file)

    def files_of(self, week: SliceKey) -> list[SourceFile]:
        """Return the files of a slice, among them those that are broken but named for it.

        A broken file whose name tells the week, and not the tier, counts for each tier of that
        week that has no other file.
        """
        placed = self.placed.get(week, [])
        broken = [f for f in self.unplaced if f.hint.fits(week)]
        return [*placed, *(f for f in broken if f.hint.tier or not placed)]

    def versions(self) -> dict[SliceKey, str]:
        """Return a fingerprint of the names, sizes and times of each slice's files."""
        broken = {week for file in self.unplaced for week in self._slices_of(file)}
        return {week: self.version_of(week) for week in sorted(broken.union(self.placed))}

    def version_of(self, week: SliceKey) -> str:
        """Return the fingerprint of a slice's files."""
        files = self.files_of(week)
        seen = sorted(f"{file.path} {file.size} {file.changed_at}" for file in files)
        return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]

    def no_longer_has(self, week: SliceKey) -> bool:
        """Return that a file may always come."""
        return False

    def strays(self) -> list[SourceFile]:
        """Return the files that belong to no slice, neither by their rows nor by their name."""
        return [f for f in self.unplaced if not self._slices_of(f)]

    def _slices_of(self, file: SourceFile) -> list[SliceKey]:
        """Return the slices that a broken file counts for."""
        day = file.hint.week_ending
        slicing = file.dataset.slicing
        if day is None or day != slicing.grain.containing(day):
            return []
        every = [slicing.key(section, day) for section in slicing.sections]
        return [week for week in every if file in self.files_of(week)]


class FileSource:
    """A folder of files in FINRA's dialects, sub-folders included."""

    def __init__(self, url: str) -> None:
        """Read from the folder at ``url`` (a path, or an address such as ``s3://bucket/prefix``)."""
        self.root = UPath(url)
        self._seen: dict[tuple[str, int, float], SourceFile] = {}

    def index(self, today: date, dataset: Dataset = ATS) -> SourceIndex:
        """Look through the folder. A file that has not changed is not read again.

        A broken file of which not even the dataset can be told counts as ATS.

        Raises:
            SourceError: there is no such folder, or it cannot be reached.

        """
        files = [self._place(path, today) for path in self._paths()]
        return SourceIndex(file for file in files if file.dataset is dataset)

    def _paths(self) -> list[UPath]:
        try:
            self.root.fs.invalidate_cache()  # for ever, fsspec would list what it has listed once
            if self.root.is_dir():
                return [
                    path
                    for path in self.root.rglob("*")
                    if path.suffix.lower() in SUFFIXES and path.is_file()
                ]
        except Exception as error:  # every kind of store has its own
            reason = f"the source (OTC_SOURCE_URL) fails: {type(error).__name__}: {error}"
            raise SourceError(str(self.root), reason) from error
        raise SourceError(str(self.root), "there is no such folder; set OTC_SOURCE_URL")

    def _place(self, path: UPath, today: date) -> SourceFile:
        stat = path.stat()
        seen = (str(path), stat.st_size, stat.st_mtime)
        if seen in self._seen:
            return self._seen[seen]
        file = SourceFile(path, stat.st_size, stat.st_mtime, _dataset_in(path))
        try:
            sample = _sample(file)
        except Exception as error:  # it may pass: look again the next time
            return replace(file, error=SourceError(path.name, f"cannot be read: {error}"))
        file = _placed(file, sample, today)
        if stat.st_mtime:  # where a store tells no time, a change would not show
            self._seen[seen] = file
        return file


def _placed(file: SourceFile, sample: bytes, today: date) -> SourceFile:
    try:
        lines = read_lines(file.name, sample, strict=False)
        file = replace(file, dataset=dataset_of(lines))
        return replace(file, week=resolve(file.name, lines, today))
    except SourceError as error:
        return replace(file, error=error)


def _dataset_in(path: UPath) -> Dataset:
    """Return the dataset that a file's path names, ATS if it names none."""
    parts = (*path.parts[:-1], path.name.removeprefix("finra_"))
    named = [d for d in every_dataset() for part in parts if d.prefix and part.startswith(d.prefix)]
    return max(named, key=lambda dataset: len(dataset.prefix), default=ATS)


def _sample(file: SourceFile) -> bytes:
    """Return the file, or if it is large its start and whole lines from all over it."""
    if file.size <= SAMPLE_WHOLE:
        return file.path.read_bytes()
    with file.path.open("rb") as stream:
        start = stream.read(SAMPLE_PART)
        if start.lstrip()[:1] in (b"[", b"{") and file.size <= MAX_BYTES:
            return start + stream.read()  # a part of a JSON document says nothing
        parts = [start.rpartition(b"\n")[0]]
        for part in range(1, SAMPLE_PARTS):
            stream.seek(part * (file.size - SAMPLE_PART) // (SAMPLE_PARTS - 1))
            parts.append(stream.read(SAMPLE_PART).partition(b"\n")[2].rpartition(b"\n")[0])
    return b"\n".join(parts)
