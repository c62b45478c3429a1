"""The dashboards: their JSON is what the code gives, and every panel explains itself."""

import json
import re
from typing import Any

import pytest
import yaml

from deploy.grafana.boards import BOARDS, FOLDER, encoded, shown
from deploy.prometheus.rules import expressions
from otc_assets.monitoring.catalog import CATALOG, Kind
from otc_assets_tests.conftest import REPOSITORY

SUFFIXES = ("_bucket", "_count", "_sum")
OURS = {metric.name for metric in CATALOG}
HISTOGRAMS = {metric.name for metric in CATALOG if metric.kind is Kind.HISTOGRAM}


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}: {panel['title']}", panel)
        for name in BOARDS
        for panel in json.loads((FOLDER / f"{name}.json").read_text())["panels"]
        if panel["type"] != "row"
    ]


NAMES = [name for name, _ in panels()]
each_panel = pytest.mark.parametrize("panel", [panel for _, panel in panels()], ids=NAMES)


@pytest.mark.parametrize("name", BOARDS)
def test_the_committed_json_is_what_the_code_gives(name: str):
    assert (FOLDER / f"{name}.json").read_text() == encoded(name), "run `make docs`"


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]):
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters) > 0
    assert all(target["legendFormat"] for target in panel["targets"])


def test_no_two_panels_have_one_name():
    assert len(set(NAMES)) == len(NAMES)


def metrics_in(expression: str) -> set[str]:
    """Return the metrics of ours in an expression, a histogram's parts by its own name."""
    found = set(re.findall(r"\botc_\w+", re.sub(r'"[^"]*"', "", expression)))
    bare = {name: re.sub(f"({'|'.join(SUFFIXES)})$", "", name) for name in found}
    return {bare[name] if bare[name] in HISTOGRAMS else name for name in found}


def test_panels_and_rules_ask_for_our_metrics_and_for_all_of_them():
    asked = [query.expression for name in BOARDS for query in shown(name)] + expressions()
    found = set().union(*map(metrics_in, asked))
    assert found - OURS == set()
    assert OURS - found == set()


def test_coverage_is_a_row_of_its_own_for_each_dataset_that_is_chosen():
    """Weeks, months and days in one table would be mostly empty."""
    found = json.loads((FOLDER / "research.json").read_text())["panels"]
    (heading,) = (at for at, panel in enumerate(found) if panel.get("repeat"))
    assert found[heading]["repeat"] == "dataset"
    assert [panel["title"] for panel in found[heading + 1 : heading + 3]] == ["Coverage", "Grades"]
    assert found[heading + 3]["type"] == "row"


def test_grafana_is_told_where_the_dashboards_are_and_whom_they_ask():
    provisioning = REPOSITORY / "deploy/grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/otc_assets.yml").read_text())[
        "providers"
    ]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert (provider["type"], source["type"]) == ("file", "prometheus")
