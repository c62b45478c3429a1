"""Waits until `otc serve` answers, for the tests and for the benchmark."""

import re
import subprocess


def address_of(process: "subprocess.Popen[str]", workers: int) -> str:
    """Return where a server that was started with a pipe as its stderr answers, once all do."""
    assert process.stderr
    address, started = "", 0
    while started < workers:
        line = process.stderr.readline()
        assert line, "the server has ended"
        address = next(iter(re.findall(r"http://[\d.:]+", line)), address)
        started += "startup complete" in line
    return address
