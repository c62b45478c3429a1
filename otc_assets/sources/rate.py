"""One rate for all that ask FINRA from one address: the processes of a user, or several machines.

FINRA counts the requests of an address. The bucket in which we count them is of pyrate-limiter: a
file that the processes of a user share, or a table in PostgreSQL for machines behind one address.
"""

import os
from pathlib import Path

import sqlalchemy as sa
from pyrate_limiter import Limiter, PostgresBucket, Rate, limiter_factory

from otc_assets.settings import setting
from otc_assets.sources.errors import SourceError

SETTING = "OTC_RATE_LIMIT_URL"
NAME = "finra"
WAIT_SECONDS = 30
"""For a connection to the bucket's database."""


class RateLimit:
    """Lets requests pass at a rate, evenly: a burst could count in FINRA's next second."""

    def __init__(self, requests_per_second: float) -> None:
        """Allow this many requests a second, of all that share the bucket.

        Raises:
            SourceError: the bucket that is set cannot be used.

        """
        milliseconds = max(1, round(1000 / requests_per_second))
        address = setting(SETTING)
        try:
            if address.startswith("postgresql"):
                self._limiter = Limiter(_in_postgres(address, milliseconds))
            elif "://" in address:
                reason = "is neither a file nor postgresql+psycopg://user:password@host/database"
                raise SourceError(SETTING, reason)
            else:
                self._limiter = _in_file(Path(address or default_file()), milliseconds)
        except (OSError, _postgres_error()) as error:
            raise _unusable(error) from None

    def wait(self) -> None:
        """Wait until a request may be sent.

        Raises:
            SourceError: the bucket's database does not answer.

        """
        try:
            self._limiter.try_acquire(NAME)
        except _postgres_error() as error:
            raise _unusable(error) from None


def default_file() -> str:
    """Return the file that all processes of this user share."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return str(Path(caches).expanduser() / "otc_assets" / "finra_requests.sqlite")


def _in_file(path: Path, milliseconds: int) -> Limiter:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return limiter_factory.create_sqlite_limiter(
        rate_per_duration=1, duration=milliseconds, db_path=str(path), use_file_lock=True
    )


def _in_postgres(address: str, milliseconds: int) -> PostgresBucket:
    import psycopg  # noqa: PLC0415 - who counts in a file need not wait for its import
    from psycopg_pool import ConnectionPool  # noqa: PLC0415

    url = sa.make_url(address).set(drivername="postgresql")
    connection = url.render_as_string(hide_password=False)
    # Once without the pool, which would try for a while, and then not say what is wrong.
    psycopg.connect(connection, connect_timeout=WAIT_SECONDS).close()
    pool = ConnectionPool(
        connection,
        kwargs={"options": "-c timezone=UTC"},  # the bucket's times have no zone
        min_size=1,
        max_size=2,
        timeout=WAIT_SECONDS,
        open=True,
    )
    return PostgresBucket(pool, NAME, [Rate(1, milliseconds)])


def _postgres_error() -> type[Exception]:
    """Return what psycopg raises; only who counts in PostgreSQL, or has failed, imports it."""
    import psycopg  # noqa: PLC0415

    return psycopg.Error


def _unusable(error: Exception) -> SourceError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return SourceError(SETTING, f"requests to FINRA cannot be counted there: {reason[0]}")
