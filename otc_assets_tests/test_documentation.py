"""The generated pages are current, and what the other pages promise about the tree holds."""

import re
import shlex
from pathlib import Path

import pytest

from otc_assets.cli.main import COMMANDS
from otc_assets.operations.document import readme_with_assets, tables_page
from otc_assets.settings import DEFAULTS
from otc_assets_tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
OPERATING = (REPOSITORY / "docs/operating.md").read_text()
PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for folder in (".", "docs", "fixtures")
    for path in (REPOSITORY / folder).glob("*.md")
)


def test_the_page_of_tables_is_current():
    assert (REPOSITORY / "docs/tables.md").read_text() == tables_page(), "run `make docs`"


def test_the_assets_in_the_readme_are_current():
    assert readme_with_assets(README) == README, "run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str):
    path = REPOSITORY / page
    links = re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_setting_is_explained_with_its_default():
    for name, default in DEFAULTS.items():
        shown = f"`{default}`" if default else "unset"
        assert f"| `{name}` | {shown} |" in OPERATING


@pytest.mark.parametrize("page", PAGES)
def test_the_makefile_has_the_targets_that_a_page_names(page: str):
    makefile = (REPOSITORY / "Makefile").read_text()
    text = (REPOSITORY / page).read_text()
    for target in set(re.findall(r"(?:`|^)make ([\w-]+)", text, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_contributing_names_is_there():
    text = re.sub(r"\.venv\S*|https?://\S+", "", (REPOSITORY / "CONTRIBUTING.md").read_text())
    named = set(re.findall(r"[\w.-]+/[\w./-]+|[\w.-]+\.(?:md|txt|toml|yaml|py)\b", text))
    assert len(named) > 15
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


def test_every_test_that_contributing_names_is_there():
    named = re.findall(r"(\S+\.py)::(\w+)", (REPOSITORY / "CONTRIBUTING.md").read_text())
    assert named
    for path, test in named:
        assert f"def {test}(" in (REPOSITORY / path).read_text()


def test_every_command_of_otc_is_named_in_a_page_with_options_that_it_has():
    named = [
        line.split("#")[0].strip().strip("`")
        for page in PAGES
        for line in re.findall(r"(?:`|^)(otc [a-z][^`\n]*)", (REPOSITORY / page).read_text(), re.M)
    ]
    commands = {command.name: command for command in COMMANDS}
    for line in named:
        _, name, *arguments = shlex.split(line)
        options = {option for each in commands[name].params for option in each.opts}
        assert {word for word in arguments if word.startswith("--")} <= options, line
    assert {line.split()[1] for line in named} == set(commands)


@pytest.mark.parametrize("page", ["README.md", "docs/research.md"])
def test_the_examples_in_python_run(page: str, filled_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTC_HOME", str(filled_home))
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
