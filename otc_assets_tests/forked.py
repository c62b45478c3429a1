"""Work in a process of its own, forked from one that has imported everything.

A process that is started anew spends seconds on its imports.
"""

import multiprocessing
import multiprocessing.util
from collections.abc import Callable

multiprocessing.util.get_temp_dir()  # now: it must outlast a test's own TMPDIR
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["otc_assets_tests.pipeline", "alembic.command"])


def exit_codes(work: Callable[..., object], *calls: tuple[object, ...]) -> list[int | None]:
    """Call ``work`` once with each arguments, all at once; return how each process has ended."""
    processes = [FORKS.Process(target=work, args=arguments) for arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
