"""Draws a dashboard from what a Prometheus answers, much as Grafana would, into one PNG.

For the documentation, so that the picture needs no Grafana. Panels are where Grafana has them.
"""

import re
from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from deploy.grafana.boards import Shown, shown
from deploy.prometheus.server import Prometheus

UNIT_INCHES = (0.72, 0.3)
"""A 24th of the width, and a line of Grafana's grid."""
MOST_SERIES = 6
RATE_INTERVAL = "5s"
"""Of a Prometheus that scrapes each second."""
SCALES = {
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")),
    "s": ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")),
}
Clock = Callable[[float], datetime]
"""Gives what stands on the time axis for a moment in Unix seconds."""
mpl.use("Agg")
mpl.rcParams["date.converter"] = "concise"


class Painter:
    """Draws panels of one time into axes."""

    def __init__(self, prometheus: Prometheus, span: tuple[float, float], clock: Clock) -> None:
        """Ask ``prometheus`` for the time ``span``: Unix seconds, from and to."""
        self._prometheus, self._span, self._clock = prometheus, span, clock

    def draw(self, name: str, path: Path, dataset: str = ".*") -> None:
        """Draw a dashboard into a PNG file."""
        queries = list(shown(name, RATE_INTERVAL, dataset))
        lines = max(y + height for _, y, _, height in (query.place for query in queries))
        figure = plt.figure(figsize=(24 * UNIT_INCHES[0], lines * UNIT_INCHES[1]))
        kinds = {"timeseries": self._lines, "bargauge": self._bars, "stat": self._numbers}
        for _, panel in groupby(queries, lambda query: query.place):
            found = list(panel)
            axes = _axes(figure, found[0], lines)
            kinds[found[0].kind](axes, found)
        figure.savefig(path, dpi=80)
        plt.close(figure)

    def _lines(self, axes: Axes, queries: list[Shown]) -> None:
        found = [
            (_legend(query, series), series["values"])
            for query in queries
            for series in self._prometheus.ask_range(query.expression, *self._span, step=1)
        ]
        found.sort(key=lambda each: -max(float(value) for _, value in each[1]))
        for legend, values in found[:MOST_SERIES]:
            moments = np.array([self._clock(float(moment)) for moment, _ in values])
            axes.plot(moments, [float(value) for _, value in values], label=legend, linewidth=1.4)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.4)  # room for the legend
        unit = queries[0].unit
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _text(value, unit)))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, ncols=2, loc="upper left", framealpha=0.7)

    def _bars(self, axes: Axes, queries: list[Shown]) -> None:
        found = sorted(self._now(queries), key=lambda each: each[1])[-MOST_SERIES:]
        axes.barh(range(len(found)), [value for _, value in found], color="#b7d3ea", height=0.7)
        axes.set_ylim(len(found) - MOST_SERIES - 0.5, len(found) - 0.5)
        for place, (legend, value) in enumerate(found):
            text = f"  {legend}: {_text(value, queries[0].unit)}"
            axes.text(0, place, text, fontsize=8, va="center")
        axes.set_axis_off()

    def _numbers(self, axes: Axes, queries: list[Shown]) -> None:
        axes.set_axis_off()
        found = self._now(queries)
        for number, (legend, value) in enumerate(found):
            x = (number + 0.5) / len(found)
            axes.text(x, 0.5, _text(value, queries[0].unit), fontsize=18, ha="center", color="C0")
            axes.text(x, 0.35, legend.replace(", ", "\n"), fontsize=8, ha="center", va="top")

    def _now(self, queries: list[Shown]) -> list[tuple[str, float]]:
        return [
            (_legend(query, series), float(series["value"][1]))
            for query in queries
            for series in self._prometheus.ask(query.expression)
        ]


def _axes(figure: Figure, query: Shown, lines: int) -> Axes:
    """Return axes where Grafana has a panel, with its title."""
    x, y, width, height = query.place
    left, right, top, bottom = 0.9, 0.2, 1.0, 1.2
    at = (x + left, lines - y - height + bottom, width - left - right, height - top - bottom)
    axes = figure.add_axes((at[0] / 24, at[1] / lines, at[2] / 24, at[3] / lines))
    axes.set_title(query.panel, loc="left", fontsize=10, fontweight="bold")
    axes.tick_params(labelsize=7)
    return axes


def _legend(query: Shown, series: dict[str, Any]) -> str:
    legend = query.legend
    for label, value in series["metric"].items():
        legend = legend.replace("{{%s}}" % label, value)  # noqa: UP031
    return re.sub(r" *{{\w+}}", "", legend)  # a label without a value is none


def _text(value: float, unit: str) -> str:
    """Return a value as a person reads it, such as 3 min."""
    if unit == "percentunit":
        return f"{value:.1%}"
    for least, name in SCALES.get(unit, ()):
        if abs(value) >= least:
            return f"{value / least:.3g} {name}"
    return f"{value:,.4g} {unit}" if unit == "d" else f"{value:,.4g}"
