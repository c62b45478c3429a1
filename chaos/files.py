"""Mutated files: each is refused by name, or all of its lines are accounted for."""

import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from random import Random
from time import monotonic

from chaos.account import account
from chaos.experiment import Counts, Experiment, Round
from chaos.mutations import mutated
from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import SUFFIXES, FileSource
from otc_assets.sources.parse import ParsedFile, parse
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import RUN, TODAY
from otc_assets_tests.sources.samples import API, api_csv, dealer, row

BATCH = 50
"""Files in a round."""
MOST_SECONDS = 2.0
MOST_MEGABYTES = 600
"""Of one process, with all that it has imported."""
LINES = 60
"""Of a fixture's, so that most of the time goes into what is mutated."""


@dataclass(frozen=True)
class Whole:
    """A file that is as it should be, and its slice."""

    name: str
    data: bytes
    dataset: Dataset
    week: WeekKey


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Gather whole files of every dialect, and an empty store."""
    files = list(whole_files(folder / "whole"))
    Warehouse(f"sqlite:///{folder / 'empty.db'}").engine.dispose()

    def play(random: Random, counts: Counts) -> None:
        _round(random, counts, files, folder)

    yield play


def _round(random: Random, counts: Counts, files: list[Whole], folder: Path) -> None:
    batch = folder / "batch"
    shutil.rmtree(batch, ignore_errors=True)
    batch.mkdir()
    outcomes: list[tuple[Whole, bytes, ParsedFile | None]] = []
    for number in range(BATCH):
        whole = random.choice(files)
        how, data = mutated(random, whole.data, [each.data for each in files])
        (batch / f"{number:02}_{whole.name}").write_bytes(data)
        try:
            parsed = judge(whole, data)
        except Exception as error:
            kept = folder / f"mutated_{whole.name}"
            kept.write_bytes(data)
            raise AssertionError(f"{whole.name}, {how}, of {len(data):,} bytes") from error
        counts["files"] += 1
        counts["refused" if parsed is None else "taken"] += 1
        outcomes.append((whole, data, parsed))
    source = FileSource(str(batch))
    for dataset in DATASETS:  # whatever is in a folder, it can be looked through
        source.index(TODAY, dataset).versions()
    _take_in(*random.choice(outcomes), folder)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert megabytes < MOST_MEGABYTES, f"{megabytes:,.0f} MB"


def judge(whole: Whole, data: bytes) -> ParsedFile | None:
    """Parse a mutated file, and hold the outcome against its bytes; None if it is refused."""
    began = monotonic()
    try:
        parsed = parse(whole.name, data, whole.week, TODAY, whole.dataset)
    except SourceError as error:
        _check_refusal(whole.name, data, str(error))
        parsed = None
    seconds = monotonic() - began
    assert seconds < MOST_SECONDS, f"{seconds:.1f} s"
    if parsed is not None:
        account(parsed, data)
    return parsed


def _check_refusal(name: str, data: bytes, said: str) -> None:
    """Make sure that a refusal names the file, a line that there is, and a short reason."""
    match = re.fullmatch(rf"{re.escape(name)}(?:, line (\d+))?: (\S.*)", said, re.DOTALL)
    assert match, said
    assert len(said) < 1000, f"{len(said)} characters: {said[:1000]}"
    # A file may end where something is missing, and JSON counts bare carriage returns as none.
    assert int(match[1] or 1) <= data.count(b"\n") + 2, said


def _take_in(whole: Whole, data: bytes, parsed: ParsedFile | None, folder: Path) -> None:
    """Take a mutated file in by the way that a run takes: its lines come back from the store."""
    place = folder / "taken"
    shutil.rmtree(place, ignore_errors=True)
    (place / "source").mkdir(parents=True)
    shutil.copy(folder / "empty.db", place / "otc.db")
    name = f"{whole.dataset.prefix or 'ats'}_{whole.week.tier.slug}_week_{whole.week.week_ending}"
    (place / "source" / f"{name}.txt").write_bytes(data)
    store = Warehouse(f"sqlite:///{place / 'otc.db'}", whole.dataset)
    index = FileSource(str(place / "source")).index(TODAY, whole.dataset)
    kept = Archive(str(place / "archive"), whole.dataset)
    outcome = ingest(store, kept, index, whole.week, RUN, TODAY)
    if parsed is not None and index.files_of(whole.week):
        assert outcome.status is SliceStatus.LOADED, outcome.reason
        with store.read() as reader:
            raw = reader.frame("raw", whole.week)
            rejects = reader.frame("rejects", whole.week)
        assert sorted(raw["line_number"]) == sorted(parsed.rows["line_number"])
        assert sorted(rejects["raw_line"]) == sorted(parsed.rejects["raw_line"])
    store.engine.dispose()


def whole_files(folder: Path) -> Iterator[Whole]:
    """Yield the fixtures, the Query API's CSV, the simple PSV, and real files if there are any."""
    golden = FIXTURES.parent / "otc_assets_tests" / "golden" / "two_symbols"
    folder.mkdir()
    for path in [*FIXTURES.rglob("*"), *golden.glob("*.psv")]:
        if path.suffix in SUFFIXES:
            head = b"".join(path.read_bytes().splitlines(keepends=True)[:LINES])
            end = b"" if path.suffix != ".json" or head.endswith(b"]\n") else b"]\n"
            (folder / path.name).write_bytes(head if not end else head.rstrip(b",\n") + end)
    for name, make in (("api_week_2025-11-14.csv", row), ("non_ats_week_2025-11-14.csv", dealer)):
        rows = [make(f"SYM{n}", shares=n * 37.5, trades=n, name=f"A, {n}") for n in range(1, 40)]
        (folder / name).write_bytes(api_csv(rows, API))
    if real := environ.get("OTC_REAL_DATA"):
        for path in Path(real, "files").glob("*.csv"):
            head = path.read_bytes().splitlines(keepends=True)[: 10 * LINES]
            (folder / f"real_{path.name}").write_bytes(b"".join(head))
    source = FileSource(str(folder))
    for dataset in DATASETS:
        for week, files in source.index(TODAY, dataset).placed.items():
            for file in files:
                whole = Whole(file.name, file.read(), dataset, week)
                assert judge(whole, whole.data) is not None, file.name
                yield whole


FILES = Experiment(
    name="files",
    claim="a mutated file is refused by name, or each of its lines is a row, a reject or a repeat",
    short=8,
    long=10_000 // BATCH,
    prepare=prepare,
)
