"""How many bytes FINRA may still be asked for this month.

FINRA gives public credentials 10 GB a month. Belongs here: when to stop asking. Does not belong
here: counting what came (`otc_assets.warehouse.requests`).
"""

import logging
from collections.abc import Callable

from otc_assets.domain.months import after, this_month
from otc_assets.settings import number_setting
from otc_assets.sources.errors import VolumeError

SETTING = "OTC_GIGABYTES_PER_MONTH"
GIGABYTE = 10**9
log = logging.getLogger(__name__)

HISTORY_SHARE = 0.8
"""Of the volume that history may take: the rest is for new weeks, which cannot wait a month."""


def bytes_per_month() -> int:
    """Return how much may be received in a month.

    Raises:
        ValueError: the setting is no positive number.

    """
    return round(number_setting(SETTING) * GIGABYTE)


class Volume:
    """What is left of a month's volume, for all processes that count in one store."""

    def __init__(self, received: Callable[[], int], limit: int) -> None:
        """Allow ``limit`` bytes a month; ``received`` tells what has come in this one."""
        self._received = received
        self._limit = limit
        self._is_told = False

    def claim(self, size: int, what: str, *, is_history: bool) -> None:
        """Let an answer of up to ``size`` bytes be asked for.

        Raises:
            VolumeError: with it, the month's volume could be passed.

        """
        received = self._received()
        if not is_used_up(received, self._limit, size, is_history=is_history):
            return
        share = f" (history may take {HISTORY_SHARE:.0%} of it)" if is_history else ""
        reason = (
            f"{what} was not asked for: {told(received, self._limit)} were received this "
            f"month{share}; it can be asked for from {after(this_month())} on ({SETTING})"
        )
        if not self._is_told:
            log.warning("FINRA: %s, and so can what comes after it in this run", reason)
        self._is_told = True
        raise VolumeError("FINRA", reason)


def is_used_up(received: int, limit: int, size: int, *, is_history: bool) -> bool:
    """Tell whether with an answer of ``size`` bytes more a month's volume could be passed."""
    return received + size > limit * (HISTORY_SHARE if is_history else 1)


def told(received: int, limit: int) -> str:
    """Return a volume for people."""
    return f"{received / GIGABYTE:.2f} of {limit / GIGABYTE:g} GB"


def endless() -> Volume:
    """Return a volume that is never used up, for who counts nothing."""
    return Volume(lambda: 0, 2**63)
