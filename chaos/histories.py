"""A random history of a store, against what a reader of FINRA's publications could know.

Publications and corrections arrive in any order, with what an operator does in between: rows are
pruned and restored, the snapshot is rebuilt, a version of a calculation is retired, a slice is run
again. After each history every day's answer is that of `naive_as_of`, which knows none of it.
"""

import importlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from random import Random
from unittest import mock

from chaos.experiment import Counts, Experiment, Round
from otc_assets.calculations import Calculation
from otc_assets.calculations.concentration import concentration_v2
from otc_assets.calculations.registry import all_calculations
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.rebuild import RebuildError, rebuild_all
from otc_assets.operations.recall import Recall
from otc_assets.operations.retention import (
    RetentionError,
    expired,
    prune,
    pruned,
    restore,
)
from otc_assets.operations.verify import verify
from otc_assets.operations.versions import retire
from otc_assets.research import as_of, latest
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.research.publications import Publication, naive_as_of
from otc_assets_tests.research.test_knowledge import matches

WEEKS = [date(2025, 5, 2), date(2025, 5, 9), date(2025, 6, 6)]
"""The last is in the window of the first two; a week between them lacks."""
SYMBOLS, VENUES = ("AAA", "BBB", "CCC"), ("VENA", "VENB", "VENC")
CONCENTRATION = importlib.import_module(concentration_v2.compute.__module__)
FAR = date(2040, 1, 1)
"""By when every row has expired."""
END = date(2025, 12, 31)
PUBLISHED = 3, 6
"""Fewest and most publications of a history."""


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Make an empty store once, which each round begins with a copy of."""
    empty = folder / "empty.db"
    Warehouse(f"sqlite:///{empty}").engine.dispose()
    numbers = count()

    def play(random: Random, counts: Counts) -> None:
        place = folder / f"history-{next(numbers)}"
        place.mkdir()
        shutil.copy(empty, place / "otc.db")
        try:
            with own_calculations():
                History(place, random, counts).run()
        finally:
            shutil.rmtree(place)

    yield play


@contextmanager
def own_calculations() -> Iterator[None]:
    """Let a history retire a calculation, and nothing after it know of that."""
    try:
        with mock.patch.dict(vars(CONCENTRATION)):
            yield
    finally:
        all_calculations.cache_clear()


class History:
    """One store, and what happens to it."""

    def __init__(self, folder: Path, random: Random, counts: Counts) -> None:
        """Keep it in ``folder``, and count each thing that happens in ``counts``."""
        self.folder = folder
        self.random = random
        self.counts = counts
        self.url = f"sqlite:///{folder / 'otc.db'}"
        self.archive = folder / "archive"
        self.public: list[Publication] = []
        self.coming = self._publications()

    def run(self) -> None:
        """Let all of it happen, and compare the answers of every day."""
        does: list[Callable[[], None]] = [
            self.prune,
            self.prune,
            self.restore,
            self.rebuild,
            self.repeat,
            self.verify,
            self.retire,
        ]
        while self.coming:
            self.publish()
            for _ in range(self.random.choice([0, 1, 1, 2])):
                self.random.choice(does)()
        self.compare()

    def store(self, dataset: Dataset) -> Warehouse:
        """Return the tables of a dataset, opened anew."""
        return Warehouse(self.url, dataset, Recall(str(self.archive)))

    def _publications(self) -> list[Publication]:
        """Invent publications, and corrections of some, in the order in which they reach us."""
        found: dict[tuple[object, ...], Publication] = {}
        for _ in range(self.random.randint(*PUBLISHED)):
            dataset = self.random.choice(DATASETS)
            tier, week = (
                self.random.choice([Tier.NMS_TIER_1, Tier.OTC]),
                self.random.choice(WEEKS),
            )
            first = expected_publication_date(WeekKey(tier, week), dataset)
            slice_of = dataset.name, tier.value, week
            later = timedelta(days=self.random.randint(1, 150))
            day = first + later if any(key[:3] == slice_of for key in found) else first
            if (*slice_of, day) not in found:
                found[*slice_of, day] = Publication(*slice_of, first, day, self._records())
        return self.random.sample([*found.values()], len(found))

    def _records(self) -> dict[tuple[str, str], tuple[int, int]]:
        places = [(symbol, venue) for symbol in SYMBOLS for venue in VENUES]
        chosen = self.random.sample(places, self.random.randint(1, len(places)))
        return {
            each: (self.random.randint(1, 10**7), self.random.randint(1, 500)) for each in chosen
        }

    def publish(self) -> None:
        """Let the next content reach us, and run its slice."""
        each = self.coming.pop()
        self.public.append(each)
        each.write(self.folder / "source" / each.dataset, f"{len(self.public)}.json")
        self._run(each)
        self.counts["publications"] += 1

    def repeat(self) -> None:
        """Run a slice again."""
        self._run(self.random.choice(self.public))
        self.counts["repeats"] += 1

    def _run(self, each: Publication) -> None:
        dataset = next(d for d in DATASETS if d.name == each.dataset)
        source = self.folder / "source" / each.dataset
        week = WeekKey(Tier(each.tier), each.week_ending)
        pipeline.run(self.store(dataset), source, self.archive, [week])

    def prune(self) -> None:
        """Remove rows of some slices."""
        for dataset in DATASETS:
            store = self.store(dataset)
            slices = [each for each in expired(store, FAR) if self.random.random() < 0.7]
            self._hold(prune(store, slices, pipeline.RUN), "prunings")

    def restore(self) -> None:
        """Bring rows of some slices back."""
        for dataset in DATASETS:
            store = self.store(dataset)
            slices = [each for each in pruned(store) if self.random.random() < 0.7]
            self._hold(restore(store, slices, pipeline.RUN), "restores")

    def rebuild(self) -> None:
        """Rebuild every snapshot beside the live one: nothing may differ."""
        for dataset in DATASETS:
            archive = Archive(str(self.archive), dataset)
            self._hold(rebuild_all(self.store(dataset), archive, pipeline.RUN), "rebuilds")

    def verify(self) -> None:
        """Verify every slice: nothing may differ."""
        for dataset in DATASETS:
            store, archive = self.store(dataset), Archive(str(self.archive), dataset)
            with store.read() as reader:
                slices = reader.loaded_slices()
            for each in verify(store, archive, slices):
                assert not each.findings, each
                self.counts["verified slices"] += 1

    def retire(self) -> None:
        """Replace a version of a calculation by one that gives the same, and retire it; once."""
        if any(calculation.spec.retired for calculation in all_calculations()):
            return
        successor = {"version": "v3", "replaces": concentration_v2.spec.label}
        for spec in (
            replace(concentration_v2.spec, retired=True),
            replace(concentration_v2.spec, **successor),
        ):
            setattr(CONCENTRATION, spec.label, Calculation(spec, concentration_v2.compute))
        all_calculations.cache_clear()
        for dataset in DATASETS:
            store = self.store(dataset)
            with store.read() as reader:
                slices = reader.loaded_slices()
            for week in slices:
                derive(store, "concentration", week, pipeline.RUN)
            removed = retire(store, concentration_v2.spec.label, pipeline.RUN)
            self.counts["retirements"] += len(removed)

    def _hold(self, found: Iterator[object], what: str) -> None:
        for each in found:
            assert not isinstance(each, RetentionError | RebuildError), each
            self.counts[what] += 1

    def compare(self) -> None:
        """Ask for every day on which something became public, and the day before."""
        days = {p.day for p in self.public} | {p.day - timedelta(days=1) for p in self.public}
        for name in sorted({p.dataset for p in self.public}):
            for day in sorted({*days, END}):
                expected = naive_as_of(self.public, name, day)
                matches(as_of(day, dataset=name, database_url=self.url), expected)
                self.counts["answers"] += 1
            matches(
                latest(dataset=name, database_url=self.url),
                naive_as_of(self.public, name, END),
            )


HISTORIES = Experiment(
    name="histories",
    claim="every day's answer is the naive one, whatever came in whatever order",
    short=3,
    long=1000,
    prepare=prepare,
)
