"""Files that are too big, too deep or too many in themselves: refused soon, in bounded memory.

``python -m chaos.big_files KIND FOLDER`` makes one, takes it in, and prints what that took.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import monotonic

from chaos.experiment import Counts, Experiment, Round
from otc_assets.sources.dialects import MAX_VALUES
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import FileSource
from otc_assets.sources.parse import parse
from otc_assets_tests.pipeline import TODAY
from otc_assets_tests.sources.samples import NAMED, WEEK, piped, row

MOST_SECONDS, MOST_MEGABYTES = 10.0, 500


def one_line_of_a_gigabyte(path: Path) -> None:
    """Write a header, and a line that does not end; the disk keeps no more than that."""
    path.write_bytes(piped([row()])[:-1])
    with path.open("r+b") as stream:
        stream.truncate(2**30)


def nested_lists(path: Path) -> None:
    """Write JSON that is nested 100,000 deep."""
    path.write_bytes(b"[" * 100_000 + b"]" * 100_000)


def nested_objects(path: Path) -> None:
    """Write a record whose value is nested as deep."""
    path.write_bytes(b'[{"MPID":' * 100_000 + b"1" + b"}]" * 100_000)


def millions_of_lines(path: Path) -> None:
    """Write more short lines than a week can have."""
    path.write_bytes(piped([row()]) + b"x\n" * (MAX_VALUES + 1))


def millions_of_elements(path: Path) -> None:
    """Write the same as JSON."""
    path.write_bytes(b"[" + b"1," * (MAX_VALUES + 1) + b"1]")


def gzipped(path: Path) -> None:
    """Write what a compressed file begins with: none is unpacked, so none is a bomb."""
    path.write_bytes(b"\x1f\x8b\x08" + b"\0" * 2**20)


KINDS: dict[str, Callable[[Path], None]] = {
    make.__name__: make
    for make in (
        one_line_of_a_gigabyte,
        nested_lists,
        nested_objects,
        millions_of_lines,
        millions_of_elements,
        gzipped,
    )
}


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Each round takes one kind of file, in a process whose memory is its own."""

    def play(random: Random, counts: Counts) -> None:
        kind = random.choice(list(KINDS))
        counts[kind] += 1
        command = [sys.executable, "-m", "chaos.big_files", kind, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{kind}: {done.stderr[-2000:]}"
        took = json.loads(done.stdout)
        assert took["said"].startswith(NAMED), took
        assert took["seconds"] < MOST_SECONDS, took
        assert took["megabytes"] < MOST_MEGABYTES, took

    yield play


def main(kind: str, folder: str) -> None:
    """Make a file, and tell what it took to refuse it."""
    path = Path(folder, NAMED)
    KINDS[kind](path)
    began = monotonic()
    said = ""
    for file in FileSource(folder).index(TODAY).files_of(WEEK):
        try:
            parse(file.name, file.read(), WEEK, TODAY)
        except SourceError as error:
            said = str(error)
    path.unlink()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = {"kind": kind, "said": said, "seconds": monotonic() - began, "megabytes": megabytes}
    print(json.dumps(took))


BIG_FILES = Experiment(
    name="big_files",
    claim="a file that is no week of FINRA's is refused by name, soon and in bounded memory",
    short=3,
    long=60,
    prepare=prepare,
)

if __name__ == "__main__":
    main(*sys.argv[1:])
