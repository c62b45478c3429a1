"""The dashboards as a whole: what all of them share, and their JSON."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh

from deploy.grafana import operator, research
from deploy.grafana.panels import SOURCE

FOLDER = Path(__file__).parent / "dashboards"
Fill = Callable[[dashboard.Dashboard], None]
BOARDS: dict[str, tuple[str, str, Fill]] = {
    "operator": ("otc_assets: operator", "Does the pipeline run?", operator.fill),
    "research": ("otc_assets: research", "Which slices are there, how good?", research.fill),
}
"""By file name: the title, the description, and what fills it."""


def encoded(name: str) -> str:
    """Return the JSON of a dashboard."""
    title, description, fill = BOARDS[name]
    board = (
        dashboard.Dashboard(title)
        .uid(f"otc-{name}")
        .description(description)
        .tags(["otc_assets"])
        .time("now-24h" if name == "operator" else "now-90d", "now")
        .refresh("1m")
        .timezone("utc")  # a week ends on the same day everywhere
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
        .with_variable(_dataset())
    )
    fill(board)
    built = board.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number  # so that a link to a panel stays
    return JSONEncoder(sort_keys=True, indent=2).encode(built) + "\n"


def _dataset() -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable("dataset").label("Dataset").datasource(SOURCE)
    variable.query("label_values(otc_weeks_missing, dataset)")
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).all_value(".*").current(_all())


def _all() -> VariableOption:
    return VariableOption(selected=True, text="All", value="$__all")


@dataclass(frozen=True)
class Shown:
    """One query of a panel, as Grafana sends it."""

    panel: str
    kind: str
    """Grafana's name of the kind of panel."""
    unit: str
    place: tuple[int, int, int, int]
    """Of the panel: x, y, width and height, in 24ths of the dashboard's width and in lines."""
    expression: str
    legend: str


def shown(name: str, interval: str = "10m", dataset: str = ".*") -> Iterator[Shown]:
    """Yield every query of a dashboard whose JSON is written.

    Args:
        name: of the dashboard.
        interval: of rates, which Grafana chooses by the time that is shown.
        dataset: those that a user has chosen, as a regular expression.

    """
    for panel in json.loads((FOLDER / f"{name}.json").read_text())["panels"]:
        grid = panel["gridPos"]
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$dataset", dataset)
            yield Shown(
                panel["title"],
                panel["type"],
                panel["fieldConfig"]["defaults"]["unit"],
                (grid["x"], grid["y"], grid["w"], grid["h"]),
                expression.replace("$__rate_interval", interval),
                target["legendFormat"],
            )


def write() -> None:
    """Write the JSON of every dashboard."""
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(encoded(name))
