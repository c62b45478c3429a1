"""The bytes of every file that was read, as they came, kept for ever.

Content-addressed: ``tier / week / revision date / SHA-256 / file name``, so that a correction never
overwrites what it corrects. It is itself a folder of source files: with ``OTC_SOURCE_URL`` set to
the archive, `raw` is rebuilt from it alone.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from functools import lru_cache

from upath import UPath

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.sources.errors import ArchiveError
from otc_assets.sources.places import is_local, make_folder, write_whole
from otc_assets.tracing import traced

REFUSED = "refused"
"""In place of the revision date, where a file could not be parsed, or is not parsed yet."""

_ARCHIVED = re.compile(rf"/(\d{{4}}-\d{{2}}-\d{{2}}|{REFUSED})/([0-9a-f]{{64}})/[^/]+$")


@lru_cache(maxsize=1)  # it is asked for at each step of one file between its receipt and its rows
def sha256_of(data: bytes) -> str:
    """Return the hex SHA-256 by which a file's bytes are known."""
    return hashlib.sha256(data).hexdigest()


def archived_on(path: UPath) -> date | None:
    """Return the revision date under which an archived file is kept; None for other files."""
    match = _ARCHIVED.search(path.as_posix())
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def is_as_archived(path: UPath, data: bytes) -> bool:
    """Tell whether a file's bytes are those of its SHA-256, if it is an archived one."""
    match = _ARCHIVED.search(path.as_posix())
    return match is None or match[2] == sha256_of(data)


class Archive:
    """A folder, local or at any address that fsspec knows."""

    def __init__(self, url: str, dataset: Dataset = ATS) -> None:
        """Keep files of ``dataset`` under ``url``; it is made when the first one comes."""
        self.root = UPath(url)
        self.dataset = dataset

    @traced("archive")
    def receive(self, week: SliceKey, name: str, data: bytes) -> str:
        """Keep the bytes of a file before anyone parses it, and return their key.

        Raises:
            ArchiveError: they could not be written, or do not read back as they were.

        """
        key = self._key(week, REFUSED, name, data)
        try:
            return self._put(key, data)
        except ArchiveError:
            # Another process has just moved the same bytes from here to their place.
            return self._put(key, data)

    def accepted_on(self, week: SliceKey, data: bytes) -> date | None:
        """Return the first day under which these bytes were accepted, None if they never were.

        Raises:
            ArchiveError: the archive cannot be reached.

        """
        folder = self._key(week, "*", "*", data)
        with _reaching(folder):
            self.root.fs.invalidate_cache()
            days = [archived_on(path) for path in self.root.glob(folder)]
        return min((day for day in days if day), default=None)

    def keys_of(self, week: SliceKey) -> list[str]:
        """Return the keys of all files of a slice, those included that were not accepted.

        Raises:
            ArchiveError: the archive cannot be reached.

        """
        folder = self._folder(week)
        with _reaching(folder):
            self.root.fs.invalidate_cache()
            found = [path.parts[-3:] for path in self.root.glob(f"{folder}/*/*/*")]
        return sorted(f"{folder}/{'/'.join(parts)}" for parts in found)

    def day_of(self, key: str) -> date | None:
        """Return the revision date of a key; None if its file was not accepted."""
        return archived_on(self.root / key)

    @traced("archive")
    def accept(self, received: str, week: SliceKey, revision_date: date) -> str:
        """Give received bytes, once parsed, their place by revision date; return that key.

        Raises:
            ArchiveError: they could not be moved.

        """
        key = received.replace(f"/{REFUSED}/", f"/{revision_date.isoformat()}/", 1)
        with _reaching(key):
            source, target = self._path(received), self._path(key)
            whole = target.exists() and is_as_archived(target, target.read_bytes())
            if not whole:
                make_folder(target.parent)
                _move(source, target)
            elif source.exists():
                _remove(source)
        return key

    @traced("archive")
    def restore(self, key: str, data: bytes) -> None:
        """Put bytes that the store knows back under their key, if they are gone.

        Raises:
            ArchiveError: they are not the bytes of that key, or could not be written.

        """
        if key.split("/")[-2] != sha256_of(data):
            raise ArchiveError(key, "these are other bytes")
        self._put(key, data)

    def _key(self, week: SliceKey, day: str, name: str, data: bytes) -> str:
        return f"{self._folder(week)}/{day}/{sha256_of(data)}/{name}"

    def _folder(self, week: SliceKey) -> str:
        folder = f"{week.slug}/{week.period}"
        return f"{self.dataset.prefix}/{folder}" if self.dataset.prefix else folder

    def _path(self, key: str) -> UPath:
        self.root.fs.invalidate_cache()  # another process may have changed what was listed
        return self.root / key

    def _put(self, key: str, data: bytes) -> str:
        with _reaching(key):
            path = self._path(key)
            if not path.exists():
                make_folder(path.parent)
                write_whole(path, data)
        self.get(key)
        return key

    def get(self, key: str) -> bytes:
        """Return the bytes of a key.

        Raises:
            ArchiveError: they are missing, or are not those of the key's SHA-256.

        """
        data = self.found(key)
        if sha256_of(data) != key.split("/")[-2]:
            raise ArchiveError(key, "the bytes are not those that were archived")
        return data

    def found(self, key: str) -> bytes:
        """Return the bytes that are there under a key, whatever they are.

        Raises:
            ArchiveError: there are none.

        """
        with _reaching(key):
            return self._path(key).read_bytes()


@contextmanager
def _reaching(key: str) -> Iterator[None]:
    """Give the errors of every kind of store one form; fsspec's backends each have their own."""
    try:
        yield
    except Exception as error:
        reason = f"the archive (OTC_ARCHIVE_URL) fails: {type(error).__name__}: {error}"
        raise ArchiveError(key, reason) from error


def _move(source: UPath, target: UPath) -> None:
    """Move one file. In an object store fsspec's own would read ``[1]`` in a name as a pattern."""
    if is_local(source):
        source.fs.mv(source.path, target.path)
        return
    source.fs.cp_file(source.path, target.path)
    _remove(source)


def _remove(path: UPath) -> None:
    """Remove what has its place already; where nothing may be deleted, it does no harm."""
    with suppress(PermissionError):
        path.fs.rm_file(path.path)
