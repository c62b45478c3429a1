"""Requests at a rate, whether answers come or not: users do not wait for each other."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Load:
    """What became of the requests of some seconds."""

    p95_ms: float
    """From the moment at which a request was to be sent to the end of its answer."""
    refused: int
    """Requests that were answered with another status than 200, or not at all."""
    bytes: int
    """Bytes of the last answer."""


def sent(url: str, question: Callable[[], str], rate: float, seconds: float) -> Load:
    """Send a question ``rate`` times a second for some seconds, and wait for all answers."""
    return asyncio.run(_sent(url, question, rate, seconds))


async def _sent(url: str, question: Callable[[], str], rate: float, seconds: float) -> Load:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        started = time.perf_counter() + 0.1

        async def ask(number: int) -> tuple[float, int, int]:
            due = started + number / rate
            await asyncio.sleep(due - time.perf_counter())
            try:
                answer = await client.get(question())
                status, size = answer.status_code, len(answer.content)
            except httpx.HTTPError:
                status, size = 0, 0
            return 1000 * (time.perf_counter() - due), status, size

        done = await asyncio.gather(*(ask(number) for number in range(round(rate * seconds))))
    times, refused = [ms for ms, _, _ in done], sum(status != 200 for _, status, _ in done)
    return Load(statistics.quantiles(times, n=20)[-1], refused, done[-1][2])
