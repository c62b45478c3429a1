"""The command `otc`, in this process or as one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from otc_assets.cli.main import otc as command
from otc_assets.settings import DEFAULTS

OTC = Path(sys.executable).with_name("otc")

Done = subprocess.CompletedProcess[str]
Otc = Callable[..., Done]


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    """A folder in which a command is started, and in which it may leave nothing."""
    folder = tmp_path / "started here"
    folder.mkdir()
    return folder


@pytest.fixture
def otc(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Otc:
    """Runs the command in this process, which spares its imports."""

    def run(*arguments: str, **settings: str) -> Done:
        environment = dict.fromkeys(DEFAULTS, "") | settings
        with monkeypatch.context() as patch:
            patch.chdir(empty_folder)
            done = CliRunner(env=environment).invoke(command, arguments)
        assert list(empty_folder.iterdir()) == []
        return Done(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def otc_process(empty_folder: Path) -> Otc:
    """Runs the installed command as a process."""

    def run(*arguments: str, **settings: str) -> Done:
        environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS} | settings
        done = subprocess.run(
            [OTC, *arguments],
            cwd=empty_folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(empty_folder.iterdir()) == []
        return done

    return run
