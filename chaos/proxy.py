"""Connections to PostgreSQL that are lost: at any byte, within COPY, and around COMMIT.

What a client cannot know is whether a COMMIT was done whose answer did not come. The same command
again has to give one revision and one event either way.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from chaos import claims
from chaos.experiment import Counts, Experiment, Round
from chaos.server import MIGRATED, PASSWORD, Server, server
from chaos.wire import Fault, Kind, Proxy, proxy
from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.engine import StoreError, shown
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES

SLICES = pipeline.weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-05-30")
"""FINRA has corrected the first."""
MOST_FAULTS = 4
"""Of one history, in a row."""
MOST_BYTES_OF_A_COPY = 2**12
"""Fewer than most copies of the fixtures have, so that they end within."""


def run(url: str, archive: Path) -> None:
    """Do what a range run does."""
    for dataset in DATASETS:
        store = Warehouse(url, dataset)
        try:
            slices = SLICES if dataset is ATS else SLICES[:1]
            pipeline.run(store, FIXTURES, archive, slices)
        finally:
            if "engine" in vars(store):  # it could be opened
                store.engine.dispose()


class Losses:
    """The rounds, each with a database of its own."""

    def __init__(self, folder: Path, server: Server, proxy: Proxy) -> None:
        """Run it once quietly, to know the answer and what passes."""
        self.folder = folder
        self.server = server
        self.proxy = proxy
        url = self._database("quiet")
        run(url, folder / "quiet")
        self.passed = proxy.passed
        self.answer = claims.answer_of(server.address("quiet"))

    def _database(self, name: str) -> str:
        self.server.database(name, MIGRATED)
        return self.server.address(name, at=self.proxy.address)

    def play(self, random: Random, counts: Counts) -> None:
        """Lose the connection some times, run quietly, and look."""
        name = f"{random.getrandbits(64):x}"
        url, archive = self._database(name), self.folder / name
        for _ in range(random.randint(1, MOST_FAULTS)):
            self.proxy.arm(self._fault(random))
            fault = self._run_into(url, archive)
            counts[fault] += 1
            counts["commits that were done, unknown to the client"] += self.proxy.committed
        self.proxy.arm(None)
        run(url, archive)
        claims.store_is_sound(self.server.address(name), archive, self.answer)
        self.server.drop(name)
        shutil.rmtree(archive)

    def _fault(self, random: Random) -> Fault:
        kind = random.choice(list(Kind))
        counted = Kind.AFTER_COMMIT if kind is Kind.BEFORE_COMMIT else kind
        number = random.randint(1, self.passed[counted])
        return Fault(kind, number, random.randrange(MOST_BYTES_OF_A_COPY))

    def _run_into(self, url: str, archive: Path) -> str:
        """Run into the fault that is armed, and return what happened."""
        kind, said = self.proxy.fault_kind, None
        try:
            run(url, archive)
        except StoreError as error:
            said = str(error)
        if said is None:
            happened = self.proxy.happened
            return "losses that no run noticed" if happened else "losses that did not come"
        assert self.proxy.happened, f"nobody has cut it: {said}"
        assert shown(url) in said, f"it does not name the store: {said}"
        assert PASSWORD not in said, f"it has the password in it: {said}"
        return kind


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Start a server and the proxy before it, and do the quiet run."""
    with server() as running, proxy(running.folder / ".s.PGSQL.5432") as between:
        yield Losses(folder, running, between).play


PROXY = Experiment(
    name="proxy",
    claim="after a lost connection, the same run gives one revision, and tells each event once",
    short=2,
    long=100,
    prepare=prepare,
)
