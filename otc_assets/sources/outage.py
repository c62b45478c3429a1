"""An outage is one fault: a run that has found its source out of reach does not ask it again.

Belongs here: what one run knows of that. Does not belong here: what counts as no answer
(`finra_client`), and for how long a run is (`assets.platform`).
A circuit-breaker library (such as pybreaker) counts failures and lets a call through again after a
time. Here the first failure has had minutes of patience, and the run's end is the only reset.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from otc_assets.sources.errors import OutageError

log = logging.getLogger(__name__)


class Outage:
    """Whether a source still answers one run; all datasets of the run share it."""

    def __init__(self, source: str) -> None:
        """Take it that ``source`` answers."""
        self._source = source
        self._found: str | None = None
        """Once it has not answered: since when, and where the run gave up."""

    @contextmanager
    def guarding(self, what: str) -> Iterator[None]:
        """Ask for ``what`` in this context; an `OutageError` in it ends the asking of this run.

        Raises:
            OutageError: the source did not answer, now or earlier in the run; if earlier, the
                context is not entered.

        """
        if self._found:
            raise OutageError(self._source, f"{what} was not asked for: {self._found}")
        since = datetime.now(UTC)
        try:
            yield
        except OutageError:
            self._found = (
                f"{self._source} has not answered since {since:%Y-%m-%d %H:%M:%S} UTC, "
                f"and this run gave up at {what}"
            )
            log.error("%s; no other slice is asked for in this run", self._found)
            raise
