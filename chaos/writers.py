"""Eight processes that write the same three slices at once, corrections among them.

Each has a source of its own, with some of the contents of each slice, and takes the slices in an
order of its own. The answer is that of one process, to which the contents came in the order in
which the store has numbered them. What a researcher sees does not depend on that order: it is that
of one process, to which they came by their dates.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from random import Random

from upath import UPath

from chaos import claims
from chaos.experiment import Counts, Experiment, Round
from chaos.forked import start, still_works
from chaos.homes import FIXTURES
from chaos.server import MIGRATED, Server, server
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.ownership import claim_archive
from otc_assets.operations.summary import LINEAGE
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets_tests import pipeline

PROCESSES = 8
SLICES = pipeline.weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-06-06")
CONTENTS = 3
"""Of each slice: what FINRA published first, and two corrections."""
LINES = 120
"""Of a file: most of what a small slice costs is not its rows."""
TIMEOUT_SECONDS = 300

Chosen = dict[WeekKey, list[str]]
"""Of each slice the names of some contents."""


def write_contents(folder: Path) -> Chosen:
    """Write every content of every slice; return their names, of each slice by their dates."""
    folder.mkdir()
    index = FileSource(str(FIXTURES)).index(pipeline.TODAY)
    chosen: Chosen = {}
    for week in SLICES:
        first = min(index.files_of(week), key=lambda file: file.name)
        lines = first.read().decode().splitlines()
        names = [f"tier1_week_{week.week_ending}_{n}.csv" for n in range(CONTENTS)]
        for number, name in enumerate(names):
            (folder / name).write_text("\n".join(corrected(lines, number)) + "\n")
        chosen[week] = names
    return chosen


def corrected(lines: Sequence[str], number: int) -> list[str]:
    """Return a file's lines as FINRA's n-th correction has them: other volumes, and a row less."""
    header, *rows = lines[:LINES]
    out = [header]
    for at, row in enumerate(rows):
        cells = row.split("|")
        if number and at % 50 == number:
            continue
        if number and at % 7 == number:
            cells[5] = (
                f"{float(cells[5]) + number:g}" if "." in cells[5] else f"{int(cells[5]) + number}"
            )
            cells[7] = f"2025-07-{20 + number}"
        out.append("|".join(cells))
    return out


def offer(contents: Path, chosen: Chosen, folder: Path) -> Path:
    """Make a source that has the chosen contents, and no other."""
    folder.mkdir(parents=True)
    for names in chosen.values():
        for name in names:
            shutil.copy(contents / name, folder / name)
    return folder


def write(url: str, source: str, archive: str, slices: Sequence[WeekKey]) -> None:
    """Do what a range run does with some slices."""
    store = Warehouse(url)
    claim_archive(store, UPath(archive))  # as Dagster's resource does
    outcomes = pipeline.run(store, source, archive, list(slices))
    refused = [str(outcome.reason) for outcome in outcomes if outcome.status != "loaded"]
    claims.nothing_differs(refused, "not loaded")
    store.engine.dispose()


def knowledge(url: str) -> set[tuple[object, ...]]:
    """Return the rows of the snapshot, without who wrote them and the number of their revision."""
    store = Store(url)
    with store.read() as reader:
        frames = [reader.frame("research_snapshot", week) for week in SLICES]
    store.engine.dispose()
    hidden = [*(LINEAGE & set(frames[0])), "source_revision"]
    return {
        (str(week), *map(str, row))
        for week, frame in zip(SLICES, frames, strict=True)
        for row in frame.drop(columns=hidden).itertuples(index=False)
    }


class Writers:
    """The rounds, each with a store and an archive of its own."""

    def __init__(self, folder: Path, server: Server) -> None:
        """Write the contents that the processes share among them."""
        self.folder = folder
        self.server = server
        self.contents = folder / "contents"
        self.names = write_contents(self.contents)

    @cache  # noqa: B019 - there is one of these objects
    def by_date(self) -> set[tuple[object, ...]]:
        """Return what one process makes known to which the contents came by their dates."""
        return knowledge(self._one_after_the_other(self.names, self.folder / "by_date"))

    def play(self, random: Random, counts: Counts) -> None:
        """Let them write, run once more where it is needed, and compare."""
        folder = self.folder / f"{random.getrandbits(64):x}"
        (folder / "store").mkdir(parents=True)
        url = f"sqlite:///{folder}/store/otc.db"
        backend = random.choice(("sqlite", "postgres"))
        empty = random.random() < 0.3  # the first migration is raced for as well
        if backend == "postgres":
            url = self.server.database(folder.name, "template1" if empty else MIGRATED)
        elif not empty:
            Warehouse(url).engine.dispose()
        self._all_at_once(random, url, folder)
        self._is_sound(url, folder)
        shutil.rmtree(folder)
        self.server.drop(folder.name)
        counts["processes"] += PROCESSES
        counts[f"rounds on {backend}"] += 1
        counts["empty databases"] += empty

    def _all_at_once(self, random: Random, url: str, folder: Path) -> None:
        environment, log, processes = {"OTC_HOME": str(folder / "home")}, folder / "log", []
        for number, chosen in enumerate(self._shares(random)):
            source = offer(self.contents, chosen, folder / f"source{number}")
            slices = random.sample(SLICES, len(SLICES))
            arguments = url, str(source), str(folder / "archive"), slices
            processes.append(start(write, *arguments, log=log, environment=environment))
        for process in processes:
            waits = still_works(process, TIMEOUT_SECONDS)
            assert not waits, f"still writing after {TIMEOUT_SECONDS} s: {log.read_text()[-3000:]}"
        failed = [str(process.exitcode) for process in processes if process.exitcode]
        claims.nothing_differs(failed, f"exit status, log {log.read_text()[-3000:]}")

    def _shares(self, random: Random) -> list[Chosen]:
        """Choose what each process offers; together they offer everything."""
        shares = [
            {week: random.sample(names, random.randint(1, CONTENTS)) for week, names in all_names}
            for all_names in [list(self.names.items())] * PROCESSES
        ]
        for week, names in self.names.items():
            for name in names:
                if not any(name in share[week] for share in shares):
                    random.choice(shares)[week].append(name)
        return shares

    def _is_sound(self, url: str, folder: Path) -> None:
        store = Store(url)
        with store.read() as reader:
            revisions = {week: reader.records("revisions", week) for week in SLICES}
        store.engine.dispose()
        arrived: Chosen = {}
        for week, records in revisions.items():
            days = {record["source_file"]: record["revision_date"] for record in records}
            first = date.fromisoformat(days_of_first(self.contents / self.names[week][0]))
            expected = [first, date(2025, 7, 21), date(2025, 7, 22)]
            assert [days.get(name) for name in self.names[week]] == expected, f"{week}: {days}"
            assert len(records) == CONTENTS, f"{week}: {len(records)} revisions"
            arrived[week] = [record["source_file"] for record in records]
        found = claims.answer_of(url)
        claims.every_cause_is_there(found.events)
        claims.nothing_is_told_twice(found.events)
        assert knowledge(url) == self.by_date(), "what is known depends on the order of arrival"
        quiet = self._one_after_the_other(arrived, folder / "quiet")
        expected = claims.answer_of(quiet).content
        assert found.content == expected, "the content is not one process's"
        claims.verify_finds_nothing(url, folder / "archive")
        claims.archive_is_tidy(url, folder / "archive")
        claims.nobody_holds_a_lock(url)

    def _one_after_the_other(self, arrived: Chosen, folder: Path) -> str:
        """Give one process the contents in this order, and return the address of its store."""
        url = f"sqlite:///{folder / 'otc.db'}"
        for count in range(1, CONTENTS + 1):
            some = {week: names[:count] for week, names in arrived.items()}
            source = offer(self.contents, some, folder / f"source{count}")
            write(url, str(source), str(folder / "archive"), SLICES)
        return url


def days_of_first(path: Path) -> str:
    """Return the newest lastUpdateDate of a file, by its text."""
    return max(line.rsplit("|", 1)[1] for line in path.read_text().splitlines()[1:])


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Start a server, and write the contents."""
    with server() as running:
        yield Writers(folder, running).play


WRITERS = Experiment(
    name="writers",
    claim="eight processes on the same slices leave what one leaves that gets all in order",
    short=1,
    long=50,
    prepare=prepare,
)
