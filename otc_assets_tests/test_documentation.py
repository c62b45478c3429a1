"""The generated pages are current, and what the other pages promise about the tree holds."""

import re

import pytest

from otc_assets.operations.document import readme_with_assets, tables_page
from otc_assets.settings import DEFAULTS
from otc_assets_tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_the_page_of_tables_is_current():
    assert (REPOSITORY / "docs/tables.md").read_text() == tables_page(), "run `make docs`"


def test_the_assets_in_the_readme_are_current():
    assert readme_with_assets(README) == README, "run `make docs`"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/architecture.md",
        "docs/features.md",
        "fixtures/README.md",
    ],
)
def test_every_link_leads_somewhere(page: str):
    path = REPOSITORY / page
    links = re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_setting_is_explained_with_its_default():
    for name, default in DEFAULTS.items():
        shown = f"`{default}`" if default else "unset"
        assert f"| `{name}` | {shown} |" in README


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_the_makefile_has_the_targets_that_a_page_names(page: str):
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"make ([\w-]+)", (REPOSITORY / page).read_text())):
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
