"""What hooks and GitHub Actions run is what anyone runs at home, and it works."""

import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from otc_assets.assets.partitions import slice_of
from otc_assets_tests.conftest import FIXTURES, REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


def workflow(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(
        (REPOSITORY / f".github/workflows/{name}.yml").read_text()
    )
    return found


def test_the_hooks_run_what_make_lint_runs():
    (repo,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    makefile = (REPOSITORY / "Makefile").read_text()
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    commands = recipe.replace("$(BIN)", ".venv/bin").split("\n\t")
    assert [hook["entry"] for hook in repo["hooks"]] == [command.strip() for command in commands]
    assert all(hook["pass_filenames"] is False for hook in repo["hooks"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_ends_in_time(path: Path):
    document = workflow(path.stem)
    assert document["permissions"] == {"contents": "read"}
    for job in document["jobs"].values():
        assert job["timeout-minutes"] <= 40
        for step in job["steps"]:
            assert "run" in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            assert "${{" not in step.get("run", ""), "an input may not become part of a script"


def test_ci_runs_what_is_there():
    steps = [step["run"] for job in workflow("ci")["jobs"].values() for step in job["steps"][2:]]
    assert steps == [".ci/run", "make test"]
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)


GIVEN = {
    "${{ inputs.partition }}": "NMS Tier 1|2025-05-16",
    "${{ inputs.source || 'finra' }}": "files",
    "${{ inputs.source == 'files' && 'fixtures' || '' }}": "fixtures",
    "${{ secrets.FINRA_CLIENT_ID }}": "",
    "${{ secrets.FINRA_CLIENT_SECRET }}": "",
}
"""What GitHub puts in the place of each expression, if the inputs are the defaults."""


class Runner:
    """Runs the shell steps of the workflow `materialize` in a folder, as GitHub does."""

    def __init__(self, workspace: Path):
        (self.job,) = workflow("materialize")["jobs"].values()
        self.workspace = workspace
        self.variables = workspace / "github_env"
        shutil.copytree(FIXTURES, workspace / "fixtures")
        shutil.copy(REPOSITORY / "dagster.yaml", workspace)
        settings = {name: GIVEN.get(value, value) for name, value in self.job["env"].items()}
        assert not [value for value in settings.values() if "${{" in value]
        self.environment = os.environ | settings
        self.environment["GITHUB_ENV"] = str(self.variables)
        self.environment["PYTHONPATH"] = str(REPOSITORY)
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(self, name: str) -> None:
        """Run a step; what it adds to the environment is there for the next."""
        (step,) = (step for step in self.job["steps"] if step.get("name") == name)
        subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=self.workspace,
            env=self.environment,
            check=True,
            capture_output=True,
        )
        if self.variables.exists():
            lines = self.variables.read_text().splitlines()
            self.environment |= dict(line.split("=", 1) for line in lines)


def test_the_default_inputs_are_those_that_the_steps_are_tested_with():
    inputs = workflow("materialize")[True]["workflow_dispatch"]["inputs"]  # YAML 1.1: `on` is true
    assert inputs["partition"]["default"] == GIVEN["${{ inputs.partition }}"]
    assert inputs["source"]["default"] == "files"
    assert inputs["source"]["options"] == ["files", "finra"]


def test_materialize_leaves_the_features_of_its_week(tmp_path: Path):
    runner = Runner(tmp_path)
    names = [step["name"] for step in runner.job["steps"] if "run" in step]
    assert names == ["Install", "Choose the week", "Materialize"]
    runner.run("Choose the week")
    runner.run("Materialize")
    kept = tmp_path / runner.job["steps"][-1]["with"]["path"]
    (file,) = kept.rglob("*.parquet")
    assert file.parent == kept / "tier_slug=nms_tier_1/week=2025-05-16"
    assert pq.ParquetFile(file).metadata.num_rows == 60  # symbols, as the fixture file has


def test_without_a_partition_it_is_the_newest_week_of_tier_1(tmp_path: Path):
    runner = Runner(tmp_path)
    runner.environment["PARTITION"] = ""
    runner.run("Choose the week")
    chosen = slice_of(runner.environment["PARTITION"])
    # Published on the Monday that comes 17 days after its Friday; a holiday delays it by a day.
    assert 17 <= (date.today() - chosen.week_ending).days <= 17 + 7 + 1
