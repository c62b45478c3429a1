"""The Dockerfile's steps, done without a container engine: in a folder, with a new environment.

It installs every dependency, which takes minutes: `make test-image` runs it, and CI does.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.prometheus.server import free_port, wait_for
from otc_assets_tests.conftest import REPOSITORY

DOCKERFILE = REPOSITORY / "deploy/Dockerfile"
IGNORED = REPOSITORY / ".dockerignore"
Step = tuple[str, str]
slow = pytest.mark.skipif(
    not os.environ.get("OTC_TEST_IMAGE"), reason="installs every dependency anew: make test-image"
)


def _steps() -> list[Step]:
    """Each instruction and its argument, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", "").splitlines()
    return [(words[0], words[1]) for line in lines if (words := line.split(maxsplit=1))]


def _of(name: str) -> list[str]:
    return [argument for instruction, argument in _steps() if instruction == name]


def test_the_base_is_pinned_and_of_a_python_that_we_support():
    assert {argument.split()[0] for argument in _of("FROM")} == {"python:3.11.13-slim-bookworm"}


def test_the_process_is_not_root_and_has_one_volume():
    assert _of("USER") == ["10001:10001"]
    assert _of("VOLUME") == ["/opt/otc/home"]
    assert not re.search(r"SECRET|PASSWORD|TOKEN|_URL", "".join(_of("ENV")))


def test_the_builder_is_sent_what_the_image_copies_and_nothing_else():
    lines = IGNORED.read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        name
        for argument in _of("COPY")
        if not argument.startswith("--from")
        for name in shlex.split(argument)[:-1]
    }
    assert "*" in lines
    assert copied == allowed
    assert all((REPOSITORY / name).exists() for name in copied)


class Builder:
    """Does the steps in folders that stand for the stages' file systems."""

    def __init__(self, place: Path):
        self.place = place
        self.stages: dict[str, Path] = {}
        self.environment = dict(os.environ) | {"PATH": f"{self._tools()}:{os.environ['PATH']}"}
        for name in [*self.environment]:
            if name.startswith("OTC_") or name == "PYTHONPATH":
                del self.environment[name]

    def _tools(self) -> str:
        """A new environment, and a chown that anybody may run."""
        folder = self.place / "environment"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        (folder / "bin/chown").write_text("#!/bin/sh\n")
        (folder / "bin/chown").chmod(0o755)
        return str(folder / "bin")

    def build(self) -> None:
        for instruction, argument in _steps():
            if hasattr(self, step := f"_{instruction.lower()}"):
                getattr(self, step)(argument)

    def _from(self, argument: str) -> None:
        name = argument.rsplit(" AS ", maxsplit=1)[-1] if " AS " in argument else "image"
        self.root = self.stages[name] = self.place / name
        self.root.mkdir()

    def _workdir(self, argument: str) -> None:
        self.folder = self.root / argument.lstrip("/")
        self.folder.mkdir(parents=True)

    def _copy(self, argument: str) -> None:
        *names, target = shlex.split(argument)
        source = REPOSITORY
        if names[0].startswith("--from="):
            source = self.stages[names.pop(0).removeprefix("--from=")]
        for name in names:
            path = source / name.lstrip("/")
            to = self.folder / target / (path.name if target.endswith("/") else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copy)(path, to)

    def _run(self, argument: str) -> None:
        subprocess.run(argument, shell=True, cwd=self.folder, env=self.environment, check=True)

    def _env(self, argument: str) -> None:
        for name, value in (each.split("=", 1) for each in argument.split()):
            self.environment[name] = value.replace("/opt/otc", str(self.place / "image/opt/otc"))


@slow
def test_the_image_serves_the_code_location_and_writes_to_its_volume_alone(tmp_path: Path):
    builder = Builder(tmp_path)
    builder.build()
    (command,) = _of("CMD")
    port = str(free_port())
    arguments = [port if word == "4000" else word for word in re.findall(r'"([^"]*)"', command)]
    commands = tmp_path / "environment/bin"  # not the ones of this environment
    arguments[0] = str(commands / arguments[0])
    before = _files(tmp_path)
    # Dagster's own storage is not asked for by a code location: no database is needed here.
    server = subprocess.Popen(
        arguments, cwd=builder.folder, env=_settings(builder), start_new_session=True
    )
    health = [str(commands / "dagster"), "api", "grpc-health-check", "-p", port]

    def answers() -> bool:
        assert server.poll() is None
        return not subprocess.run(health, env=builder.environment, check=False).returncode

    try:
        wait_for("the code location answers", answers)
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # it may wait minutes for its child to end
        server.wait()
    written = {path for path in _files(tmp_path) - before if "image/opt/otc/home" not in path}
    assert not written


def _settings(builder: Builder) -> dict[str, str]:
    nowhere = "postgresql+psycopg2://nobody@127.0.0.1:1/dagster"
    return builder.environment | {"DAGSTER_POSTGRES_URL": nowhere}


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}
