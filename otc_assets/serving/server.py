"""Starts the server: what has to be true before it listens, and in how many processes it does."""

import ipaddress
import os
import tempfile
from typing import Any

import uvicorn

from otc_assets.domain.datasets import ATS
from otc_assets.operations.recall import store_to_read
from otc_assets.serving.limits import (
    KEEP_ALIVE_SECONDS,
    MAX_CONNECTIONS,
    MAX_HEADER_BYTES,
    MIN_TOKEN,
    SHUTDOWN_SECONDS,
    STUCK_SECONDS,
)
from otc_assets.serving.measures import FOLDER
from otc_assets.serving.protocol import PatientProtocol
from otc_assets.settings import number_setting, setting


def serve(host: str, port: int, workers: int) -> None:
    """Answer requests until the process is told to end.

    Raises:
        StoreError: there is no store to read, or it is of another version.
        ValueError: the address is not this machine's own, and there is no token.

    """
    check_address(host)
    number_setting("OTC_API_REQUESTS_PER_SECOND")
    store_to_read(ATS).engine.dispose()
    with tempfile.TemporaryDirectory(prefix="otc-serve-") as folder:
        os.environ[FOLDER] = folder  # before a process counts its first request
        app = "otc_assets.serving.app:create_app"
        uvicorn.run(app, factory=True, host=host, port=port, workers=workers, **options())


def options() -> dict[str, Any]:
    """Return how uvicorn is to treat clients."""
    return {
        "http": PatientProtocol,
        "ws": "none",
        "access_log": False,  # questions are the users' own affair
        "server_header": False,
        # A client that says that it speaks for others is believed only if uvicorn is told so.
        "proxy_headers": "FORWARDED_ALLOW_IPS" in os.environ,
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "timeout_worker_healthcheck": STUCK_SECONDS,
        "h11_max_incomplete_event_size": MAX_HEADER_BYTES,
    }


def check_address(host: str) -> None:
    """Refuse to listen where others can reach it without a token (ValueError)."""
    token = setting("OTC_API_TOKEN")
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable()):
        raise ValueError(
            f"OTC_API_TOKEN has to be {MIN_TOKEN} or more letters and digits, so that it is not "
            "guessed: python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    if not token and not _is_loopback(host):
        raise ValueError(
            f"on {host} others could read the store: set OTC_API_TOKEN, or listen on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
