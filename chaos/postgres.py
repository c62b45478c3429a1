"""A PostgreSQL server that goes down in the middle of a range run, and comes back.

Through Dagster's own command. In some rounds Dagster's own storage is on that server as well.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

from chaos.experiment import Counts, Experiment, Round
from chaos.forked import still_works
from chaos.homes import Home, home_on
from chaos.kills import Quiet, home_is_sound
from chaos.server import PASSWORD, Server, server
from otc_assets.warehouse.engine import shown

MOST_SECONDS_DOWN = 2.0
TIMEOUT_SECONDS = 300
SHARE_WITH_DAGSTER = 0.25
"""Of the rounds, in which Dagster's storage goes down too."""


class Outages:
    """The rounds, each with a database of its own on one server."""

    def __init__(self, folder: Path, server: Server) -> None:
        """Make homes in ``folder``, with stores on ``server``."""
        self.folder = folder
        self.server = server

    @cache  # noqa: B019 - there is one of these objects
    def quiet(self) -> Quiet:
        """Return the quiet run, which is done once."""
        with home_on("postgres", self.folder / "quiet", self.server) as home:
            return Quiet(home)

    def play(self, random: Random, counts: Counts) -> None:
        """Stop the server while a run is at work, start it, run again, and look."""
        quiet, name = self.quiet(), f"{random.getrandbits(64):x}"
        is_shared = random.random() < SHARE_WITH_DAGSTER
        with home_on("postgres", self.folder / name, self.server, is_shared=is_shared) as home:
            process = home.materialize()
            process.join(random.uniform(0, quiet.seconds))
            was_running = process.is_alive()
            self.server.stop()
            time.sleep(random.uniform(0, MOST_SECONDS_DOWN))
            self.server.start()
            waits = still_works(process, TIMEOUT_SECONDS)
            assert not waits, f"it still waits after {TIMEOUT_SECONDS} s: {home.tail()}"
            counts["stops during a run" if was_running else "stops after it"] += 1
            counts["of them under Dagster's storage too"] += is_shared
            if process.exitcode:
                self._says_what_failed(home)
                counts["runs that failed"] += 1
            home.materialize_all()
            home_is_sound(home, quiet)

    def _says_what_failed(self, home: Home) -> None:
        """Look for the store in the log, unless Dagster's storage failed; and for no password."""
        printed = home.log.read_text(errors="replace")
        assert PASSWORD not in printed, "the log has the password in it"
        named = shown(home.database_url) in printed
        assert named or home.dagster_url, f"it does not name the store: {home.tail()}"


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Start a server."""
    with server() as running:
        yield Outages(folder, running).play


POSTGRES = Experiment(
    name="postgres",
    claim="after PostgreSQL was stopped in a run, the same command gives the quiet run's answer",
    short=1,
    long=20,
    prepare=prepare,
)
