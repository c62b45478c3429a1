"""FINRA's historic set: one download of a week and tier serves all datasets, and for ever.

The set takes no filter but time and tier, so that all summary types come together. Each dataset's
rows are cut from them and put into its archive before anyone parses them. From then on the week is
read from there: FINRA asks not to download static history again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock

from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.sources.archive import REFUSED, Archive
from otc_assets.sources.rate import default_file

MARK = "_historic"
"""In the name of a file that was cut from a download of the historic set."""
NOTHING = ".none"
"""Ends the name under which an archive remembers that a download had no rows of its dataset. It is
no suffix of a source file, so that nobody takes it for one."""

ArchiveOf = Callable[[Dataset], Archive]


@dataclass(frozen=True)
class KeptFile:
    """A file of a slice that an archive has."""

    archive: Archive
    key: str
    name: str
    known_on: date | None

    def read(self) -> bytes:
        """Return the bytes, or raise `ArchiveError` if they are not those that were archived."""
        return self.archive.get(self.key)


class History:
    """The weeks of the historic set that archives have."""

    def __init__(self, archive_of: ArchiveOf) -> None:
        """Keep the files of each dataset in its own archive."""
        self._archive_of = archive_of

    def kept(self, dataset: Dataset, week: SliceKey) -> list[KeptFile] | None:
        """Return a slice's files; None if FINRA has to be asked for it.

        One that lies in the archive as refused counts if it is of the historic set: it waits for
        its dataset's turn, or would be refused again.

        Raises:
            ArchiveError: the archive cannot be reached.

        """
        archive = self._archive_of(dataset)
        files = [
            KeptFile(archive, key, name, archive.day_of(key))
            for key in archive.keys_of(week)
            if MARK in (name := key.rpartition("/")[2]) or f"/{REFUSED}/" not in key
        ]
        return [file for file in files if not file.name.endswith(NOTHING)] if files else None

    def keep(self, dataset: Dataset, week: SliceKey, records: Sequence[str]) -> list[KeptFile]:
        """Archive a download for every dataset of its set; return the files of ``dataset``.

        Raises:
            ArchiveError: a part could not be written.

        """
        by_type: dict[str, list[str]] = {}
        for record in records:
            by_type.setdefault(str(json.loads(record).get("summaryTypeCode")), []).append(record)
        for each in dict.fromkeys((*DATASETS, dataset)):
            if each.historic_set != dataset.historic_set:
                continue
            mine = by_type.get(str(each.summary_type), [])
            name = file_name(each, week, MARK) + ("" if mine else NOTHING)
            self._archive_of(each).receive(week, name, as_file(mine))
        return self.kept(dataset, week) or []


@contextmanager
def turn() -> Iterator[None]:
    """Let one process of a user at a time download; who has waited looks into the archive again.

    So two runs at once, one for each dataset, do not ask for the same week. Where there is no place
    for the lock's file nobody waits.
    """
    lock = FileLock(Path(default_file()).with_name("finra_history.lock"))
    try:
        Path(lock.lock_file).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def file_name(dataset: Dataset, week: SliceKey, mark: str = "") -> str:
    """Return what the rows of a slice are called in lineage and archive."""
    return f"finra_{dataset.name}_{week.slug}_{dataset.grain.name}_{week.period}{mark}.json"


def as_file(records: Sequence[str]) -> bytes:
    """Return records as a JSON array with one in each line.

    In the order of the text: the same rows give the same bytes, however they were paged.
    """
    return ("[\n" + ",\n".join(sorted(records)) + "\n]\n").encode()
