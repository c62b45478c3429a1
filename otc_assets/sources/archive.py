"""The bytes of every file that was read, as they came, kept for ever.

Content-addressed: ``tier / week / revision date / SHA-256 / file name``, so that a correction never
overwrites what it corrects. It is itself a folder of source files: with ``OTC_SOURCE_URL`` set to
the archive, `raw` is rebuilt from it alone.
"""

import hashlib
import os
import re
from datetime import date

from upath import UPath

from otc_assets.domain.weeks import WeekKey

REFUSED = "refused"
"""In place of the revision date, where a file could not be parsed."""

_ARCHIVED = re.compile(r"/(\d{4}-\d{2}-\d{2})/[0-9a-f]{64}/[^/]+$")


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


class Archive:
    """A folder, local or at any address that fsspec knows."""

    def __init__(self, url: str) -> None:
        """Keep files under ``url``; it is made when the first one comes."""
        self.root = UPath(url)

    def receive(self, week: WeekKey, name: str, data: bytes) -> str:
        """Keep the bytes of a file before anyone parses it, and return their key.

        Raises:
            OSError: they could not be written, or do not read back as they were.

        """
        return self._put(self._key(week, REFUSED, name, data), data)

    def accept(self, received: str, week: WeekKey, revision_date: date, data: bytes) -> str:
        """Give received bytes, once parsed, their place by revision date; return that key."""
        name = received.rsplit("/", 1)[-1]
        key = self._put(self._key(week, revision_date.isoformat(), name, data), data)
        (self.root / received).unlink(missing_ok=True)
        return key

    def restore(self, key: str, data: bytes) -> None:
        """Put bytes that the store knows back under their key, if they are gone.

        Raises:
            OSError: they are not the bytes of that key, or could not be written.

        """
        if key.split("/")[-2] != sha256_of(data):
            raise OSError(f"{key}: these are other bytes")
        self._put(key, data)

    def _key(self, week: WeekKey, day: str, name: str, data: bytes) -> str:
        tier = week.tier.lower().replace(" ", "_")
        return f"{tier}/{week.week_ending}/{day}/{sha256_of(data)}/{name}"

    def _put(self, key: str, data: bytes) -> str:
        path = self.root / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, data)
        self.get(key)
        return key

    def get(self, key: str) -> bytes:
        """Return the bytes of a key.

        Raises:
            OSError: they are missing, or are not those of the key's SHA-256.

        """
        data = (self.root / key).read_bytes()
        if sha256_of(data) != key.split("/")[-2]:
            raise OSError(f"{self.root / key}: the bytes are not those that were archived")
        return data


def _write_whole(path: UPath, data: bytes) -> None:
    """Write a file so that a reader, or a restart after a kill, never sees half of it."""
    if path.protocol not in ("", "file"):  # object stores show an object only when it is whole
        path.write_bytes(data)
        return
    part = path.with_name(f".{os.getpid()}.part")
    part.write_bytes(data)
    part.rename(path)
