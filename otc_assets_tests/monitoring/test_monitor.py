"""`make monitor` runs its programs side by side, and leaves none behind."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.prometheus import monitor
from deploy.prometheus.server import wait_for
from otc_assets_tests.conftest import REPOSITORY

# Says that it runs in a file of its own, and that it was told to end in another.
PROGRAM = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1] + '.ended').touch(), sys.exit()))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def program(path: Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(path)]


def test_without_prometheus_it_says_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "sudo apt-get install prometheus prometheus-alertmanager" in str(monitor.main())


def test_if_one_ends_the_others_are_ended_and_it_says_which(tmp_path: Path):
    running = tmp_path / "running"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(running)!r}).exists(): "
    fails = [sys.executable, "-c", f"{waits}time.sleep(0.02)\nraise SystemExit(3)"]
    said = monitor.run_until_one_ends([program(running), fails])
    assert f"{sys.executable} ended with 3" in str(said)
    assert Path(f"{running}.ended").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_ends_all(sent: signal.Signals, tmp_path: Path):
    running = [tmp_path / "first", tmp_path / "second"]
    commands = [program(path) for path in running]
    # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that.
    in_front = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    run = f"{in_front}from deploy.prometheus.monitor import *\nrun_until_one_ends({commands!r})"
    with subprocess.Popen([sys.executable, "-c", run], cwd=REPOSITORY) as process:
        wait_for("both run", lambda: all(path.exists() for path in running))
        process.send_signal(sent)
        assert process.wait() == 0
    assert all(Path(f"{path}.ended").exists() for path in running)
