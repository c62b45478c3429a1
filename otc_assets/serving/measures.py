"""Requests counted and timed by route, beside what the exporter reads from the store.

With several processes each scrape adds them all up: `server` gives them a folder for that, in
PROMETHEUS_MULTIPROC_DIR, which is a setting of Prometheus's client.
"""

import os
import threading
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
OWN = CollectorRegistry()
REQUESTS = Counter(
    "otc_api_requests_total", "Requests answered.", ["route", "status"], registry=OWN
)
SECONDS = Histogram(
    "otc_api_request_seconds",
    "Time until an answer was sent.",
    ["route"],
    registry=OWN,
    buckets=BUCKETS,
)
_turn = threading.Lock()


def observe(scope: Any, status: int, seconds: float) -> None:
    """Count a request that was answered."""
    route = getattr(scope.get("route"), "path", "none")
    REQUESTS.labels(route, status or "none").inc()
    SECONDS.labels(route).observe(seconds)


def exposition() -> bytes:
    """Return all metrics: of the store, of Dagster's instance, and of requests."""
    own = OWN
    if os.environ.get(FOLDER):
        own = CollectorRegistry()
        MultiProcessCollector(own)  # type: ignore[no-untyped-call]
    with _turn:
        return bytes(generate_latest(_exporter())) + bytes(generate_latest(own))


@cache
def _exporter() -> CollectorRegistry:
    from otc_assets.monitoring.exporter import registry  # noqa: PLC0415  # it imports Dagster

    return registry()
