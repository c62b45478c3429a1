"""Sinks: where messages go, by the addresses of OTC_NOTIFY_URL that the library apprise knows.

No part of an address may show: most of them hold a password or a token. So a sink is called by its
place and scheme ("sink 2 (slack)"), apprise's own log goes nowhere, and whatever is in the address
is taken out of its last warning.
"""

import hashlib
import logging
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from otc_assets.operations.messages import Message
from otc_assets.settings import setting
from otc_assets.warehouse.store import Store

if TYPE_CHECKING:
    from apprise import NotifyBase

ROUNDS = 100_000
"""Of the hash of an address: who guesses at a password in one pays for each guess."""


@dataclass(frozen=True)
class Sink:
    """One address that takes messages."""

    key: str
    """Stands for the address in the store."""
    name: str
    """Stands for it before people."""
    url: str
    plugin: "NotifyBase"

    def __repr__(self) -> str:
        """Show its name alone."""
        return self.name

    def take(self, message: Message) -> str | None:
        """Send a message; return None if the sink took it, else why not."""
        from apprise import NotifyFormat, NotifyType  # noqa: PLC0415

        _warnings.of_this_thread.last = ""
        try:
            taken = self.plugin.notify(
                title=message.title,
                body=message.body,
                notify_type=NotifyType(message.kind),
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:  # of a plugin; its text may be anything
            return f"{self.name} failed with {type(error).__name__}"
        if taken:
            return None
        said = _without(self.url, _warnings.of_this_thread.last)
        return f"{self.name} did not take it{': ' if said else ''}{said}"


class _Warnings(logging.Handler):
    """Keeps the last warning of each thread, and lets nothing out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.of_this_thread: Any = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        self.of_this_thread.last = record.getMessage()


_warnings = _Warnings()


def sinks(store: Store) -> list[Sink]:
    """Return the sinks that are set, each once; none if OTC_NOTIFY_URL is unset.

    Args:
        store: which keeps what they were told; it is not opened if there are none.

    Raises:
        ValueError: one of the addresses is none that apprise knows; the message says which.

    """
    text = setting("OTC_NOTIFY_URL")
    if not text:
        return []
    log = logging.getLogger("apprise")
    log.propagate = False
    if _warnings not in log.handlers:
        log.addHandler(_warnings)
    from apprise.utils.parse import parse_urls  # noqa: PLC0415 - a quarter of a second

    urls = dict.fromkeys(parse_urls(text))  # type: ignore[no-untyped-call]
    return [_sink(number, url, store.store_id) for number, url in enumerate(urls, start=1)]


def _sink(number: int, url: str, store_id: str) -> Sink:
    from apprise import Apprise, OverflowMode  # noqa: PLC0415

    plugin = Apprise.instantiate(url)
    if plugin is None:
        raise ValueError(
            f"OTC_NOTIFY_URL: address {number} is none that apprise can send to; its documentation "
            "lists how the address of each service is written"
        )
    if "overflow=" not in url:  # else a service refuses what is too long for it, again and again
        plugin.overflow_mode = OverflowMode.SPLIT
    scheme = url.partition("://")[0].lower()
    return Sink(_key(url, store_id), f"sink {number} ({scheme})", url, plugin)


@lru_cache
def _key(url: str, store_id: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", url.encode(), store_id.encode(), ROUNDS, dklen=8).hex()


def _without(url: str, text: str) -> str:
    """Return a text without anything that is in an address after its scheme."""
    parts = re.split(r"[/:@?&=,]+", url.partition("://")[2])
    for part in sorted({*parts, *map(unquote, parts)} - {""}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text
