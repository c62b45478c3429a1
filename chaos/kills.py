"""Range runs that are killed at a random moment, several times in a row, and then run to the end.

Through Dagster's own command, on SQLite and on PostgreSQL. Each command is forked from a process
that has imported everything, so that kills hit the work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

from chaos import claims
from chaos.experiment import Counts, Experiment, Round
from chaos.homes import Home, home_on
from chaos.server import Server, server

BACKENDS = ("sqlite", "postgres")
MOST_KILLS = 6
"""Of one history, in a row."""


class Quiet:
    """What a run gives that nobody disturbs, and how long it takes."""

    def __init__(self, home: Home) -> None:
        """Run it in an empty home."""
        self.seconds = home.materialize_all()
        self.answer = claims.answer_of(home.database_url)
        self.features = claims.features_of(home)


def home_is_sound(home: Home, quiet: Quiet) -> None:
    """Hold a home that has recovered to a quiet run's."""
    claims.store_is_sound(home.database_url, home.path / "archive", quiet.answer)
    claims.nothing_is_planned(home)
    claims.doctor_finds_nothing(home)
    assert claims.features_of(home) == quiet.features, "the features are not the quiet run's"


class Kills:
    """The rounds, each with a home of its own."""

    def __init__(self, folder: Path, server: Server) -> None:
        """Make homes in ``folder``, some with a store on ``server``."""
        self.folder = folder
        self.server = server

    @cache  # noqa: B019 - there is one of these objects
    def quiet(self, backend: str) -> Quiet:
        """Return the quiet run on a database, which is done once."""
        with home_on(backend, self.folder / f"quiet_{backend}", self.server) as home:
            return Quiet(home)

    def play(self, random: Random, counts: Counts) -> None:
        """Kill, kill again, run to the end, and look."""
        backend = random.choice(BACKENDS)
        quiet = self.quiet(backend)
        with home_on(backend, self.folder / f"{random.getrandbits(64):x}", self.server) as home:
            for _ in range(random.randint(1, MOST_KILLS)):
                counts[self._kill(home, random.uniform(0, quiet.seconds))] += 1
            home.materialize_all()
            home_is_sound(home, quiet)
        counts[f"histories on {backend}"] += 1

    def _kill(self, home: Home, seconds: float) -> str:
        process = home.materialize()
        process.join(seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -9), f"exit status {process.exitcode}: {home.tail()}"
        return "kills" if process.exitcode else "runs that ended before their kill"


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Start a server."""
    with server() as running:
        yield Kills(folder, running).play


KILLS = Experiment(
    name="kills",
    claim="after kill -9 at any moment, the same command gives the quiet run's answer",
    short=1,
    long=58,
    prepare=prepare,
)
