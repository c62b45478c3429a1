"""How each benchmark starts: in a home of its own, and with only its figures on the screen.

A module ends with ``run(main)``. Nothing that ``main`` or its commands write is left when it ends,
and no home, store or Dagster instance of the user's is read or written. Imports the standard
library alone, apart from `measure`.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from unittest import mock

from benchmarks.measure import Figures

ROOT = Path(__file__).parents[1]
OF_THE_USER = ("OTC_", "FINRA_", "DAGSTER_", "OTEL_")
"""How the names of settings begin; none of the shell's reaches a benchmark."""
SHOWN = 3000
"""Characters of the log's end that are shown of a benchmark that failed."""
MISSED = 3
"""The exit status if a bar is missed; Python's own are 1 after an exception and 2 for usage."""


def run(benchmark: Callable[[Figures], None]) -> None:
    """Run a benchmark, which is given what prints its figures.

    Raises:
        SystemExit: a bar is missed.

    """
    with own_home(), only_figures() as figures:
        benchmark(figures)
    if figures.missed:
        sys.exit(MISSED)


@contextmanager
def own_home() -> Iterator[None]:
    """Give this process and its children a home for a while, with nothing in it.

    Dagster's instance and temporary files lie beside the home, and are removed with it.
    """
    with tempfile.TemporaryDirectory(prefix="otc-bench-") as temporary:
        folder = Path(temporary)
        for name in ("home", "dagster", "tmp"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "dagster.yaml", folder / "dagster")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(OF_THE_USER)} | {
            "OTC_HOME": str(folder / "home"),
            "DAGSTER_HOME": str(folder / "dagster"),
            "DAGSTER_EVENT_BATCH_SIZE": "1000",  # as the Makefile sets it
            "TMPDIR": str(folder / "tmp"),
        }
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(tempfile, "tempdir", None),  # so that TMPDIR is read again
        ):
            yield


@contextmanager
def only_figures() -> Iterator[Figures]:
    """Send to a file what this process and its children print, all but the figures.

    The end of that file is shown if an error ends the work.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        try:
            with _redirected(log) as screen:
                yield Figures(screen)
        except (Exception, SystemExit):
            log.seek(0)
            sys.stderr.write(log.read()[-SHOWN:])
            raise


@contextmanager
def _redirected(log: IO[str]) -> Iterator[IO[str]]:
    """Put a file in the place of standard output and error, and give the standard output."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        with os.fdopen(os.dup(kept[0]), "w") as screen:
            yield screen
    finally:
        sys.stdout.flush()
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
