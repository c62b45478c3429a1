"""Kinds of panels, and how each looks. What a panel asks is in `operator.py` and `research.py`.

A panel has a title, a description, a unit, a legend and thresholds, so that no dashboard can leave
one out. A dashboard is 24 columns wide.
"""

from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    RangeMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
Query = tuple[str, str]
"""An expression, and the legend of its series."""
Steps = tuple[tuple[float, str], ...]
"""From which value on which colour; below the first it is green."""
PLAIN: Steps = ()

P = TypeVar("P", timeseries.Panel, stat.Panel, bargauge.Panel, table.Panel)


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Steps = PLAIN,
    span: int = 8,
    stacked: bool = False,
) -> timeseries.Panel:
    """Return a panel of lines over time; a threshold is a dashed line across it."""
    panel = _common(timeseries.Panel(), title, description, unit, steps, span)
    panel.min(0).line_width(2).fill_opacity(30 if stacked else 5)
    panel.legend(_legend()).tooltip(
        common.VizTooltipOptions()
        .mode(looks.TooltipDisplayMode.MULTI)
        .sort(looks.SortOrder.DESCENDING)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    if steps:
        dashed = common.GraphThresholdsStyleConfig().mode(looks.GraphTresholdsStyleMode.DASHED)
        panel.thresholds_style(dashed)
    return panel.targets(_targets(*queries, instant=False))


def numbers(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Steps = PLAIN,
    span: int = 4,
    words: dict[str, tuple[str, str]] | None = None,
    shows_names: bool = False,
) -> stat.Panel:
    """Return a panel of numbers as they are now; ``words`` shows some as a text and a colour."""
    panel = _common(stat.Panel(), title, description, unit, steps, span).height(5)
    mode = looks.BigValueTextMode.NAME if shows_names else looks.BigValueTextMode.AUTO
    panel.graph_mode(looks.BigValueGraphMode.NONE).text_mode(mode)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if words:
        panel.mappings([_words(words)])
    return panel.targets(_targets(*queries, instant=True))


def bars(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Steps = PLAIN,
    span: int = 8,
) -> bargauge.Panel:
    """Return a panel of horizontal bars, one for each series as it is now."""
    panel = _common(bargauge.Panel(), title, description, unit, steps, span)
    panel.min(0).orientation(looks.VizOrientation.HORIZONTAL)
    panel.display_mode(looks.BarGaugeDisplayMode.BASIC)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.targets(_targets(*queries, instant=True))


def matrix(
    title: str,
    description: str,
    expression: str,
    ranges: tuple[tuple[float, float, str, str], ...],
) -> table.Panel:
    """Return a table with a row for each period and a column for each tier, newest period first.

    ``ranges`` are the least and greatest value, the text and the colour of a cell.
    """
    panel = _common(table.Panel(), title, description, "short", PLAIN, 12).height(16)
    panel.mappings([_range(*each) for each in ranges])
    coloured = DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"})
    panel.override_by_field_type("number", [coloured])
    panel.with_transformation(
        DataTransformerConfig(
            id_val="groupingToMatrix",
            options={"columnField": "tier", "rowField": "week", "valueField": "Value"},
        )
    )
    by_week = {"fields": {}, "sort": [{"field": "week\\tier", "desc": True}]}
    panel.with_transformation(DataTransformerConfig(id_val="sortBy", options=by_week))
    query = (expression, "{{tier}}")
    return panel.targets(_targets(query, instant=True, form=PromQueryFormat.TABLE))


def row(title: str, of_each: str = "") -> dashboard.Row:
    """Return a heading across the dashboard.

    With the panels below it, it is there once for each chosen value of the variable ``of_each``.
    """
    heading = dashboard.Row(title)
    return heading.repeat(of_each) if of_each else heading


def _common(panel: P, title: str, description: str, unit: str, steps: Steps, span: int) -> P:
    panel.title(title).description(description).unit(unit).datasource(SOURCE)
    panel.thresholds(_thresholds(steps)).no_value("none").span(span).height(8)
    return panel


def _targets(
    *queries: Query, instant: bool, form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> list[Builder[Dataquery]]:
    found: list[Builder[Dataquery]] = []
    for letter, (expression, legend) in zip(ascii_uppercase, queries, strict=False):
        query = prometheus.Dataquery().ref_id(letter).datasource(SOURCE).format(form)
        query.expr(expression).legend_format(legend)
        found.append(query.instant() if instant else query.range())
    return found


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [Threshold(None, GREEN), *(Threshold(value, colour) for value, colour in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(looks.LegendDisplayMode.TABLE).show_legend(True)
    return legend.placement(looks.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])


def _words(words: dict[str, tuple[str, str]]) -> ValueMapping:
    return ValueMap(
        {key: ValueMappingResult(text, colour) for key, (text, colour) in words.items()}
    )


def _range(least: float, greatest: float, text: str, colour: str) -> ValueMapping:
    return RangeMap(DashboardRangeMapOptions(least, greatest, ValueMappingResult(text, colour)))
