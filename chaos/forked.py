"""Work in processes of its own, each forked from one that has imported everything.

A process that is started anew spends seconds on imports, into which most kills would fall.
"""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from otc_assets_tests.forked import FORKS

FORKS.set_forkserver_preload(
    [
        "dagster._cli",
        "otc_assets.definitions",
        "otc_assets.automation.storage",
        "otc_assets_tests.pipeline",
        "alembic.runtime.environment",
    ]
)


def start(
    work: Callable[..., Any], *arguments: Any, log: Path, environment: Mapping[str, str]
) -> BaseProcess:
    """Start ``work(*arguments)``; what it prints is appended to ``log``."""
    process = FORKS.Process(target=_child, args=(work, arguments, log, dict(environment)))
    process.start()
    return process


def still_works(process: BaseProcess, seconds: float) -> bool:
    """Wait for a process; one that does not end prints where it is, and is killed."""
    process.join(seconds)
    if not process.is_alive() or process.pid is None:
        return False
    os.kill(process.pid, signal.SIGUSR1)
    process.join(1)  # it prints now
    process.kill()
    process.join()
    return True


def dagster(*arguments: str) -> None:
    """Be the command ``dagster``, until it ends the process with its exit status."""
    from dagster._cli import main  # noqa: PLC0415 - only the forked process needs it

    sys.argv = ["dagster", *arguments]
    main()


def _child(
    work: Callable[..., Any], arguments: tuple[Any, ...], log: Path, environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    work(*arguments)
