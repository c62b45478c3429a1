"""The command `otc` as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otc_assets.settings import DEFAULTS

OTC = Path(sys.executable).with_name("otc")

Otc = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def otc(tmp_path: Path) -> Otc:
    """Runs the command in an empty folder, in which it may leave nothing."""
    cwd = tmp_path / "started here"
    cwd.mkdir()

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS} | settings
        done = subprocess.run(
            [OTC, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(cwd.iterdir()) == []
        return done

    return run
