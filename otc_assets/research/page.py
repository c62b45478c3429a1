"""The page for researchers: one HTML file with all in it, of what the store has and how good it is.

No script, nothing to load: it can be mailed, printed, kept, and read on a phone. The same store
gives the same bytes on the same day.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup
from upath import UPath

from otc_assets.operations.ownership import check_page
from otc_assets.research.charts import (
    GRADES,
    STATES,
    coverage_map,
    quality_map,
    symbol_chart,
)
from otc_assets.research.facts import TOP, WEEKS_SHOWN, DatasetFacts, Facts, State, gather
from otc_assets.sources.places import make_folder, write_whole
from otc_assets.warehouse.store import Warehouse

TEMPLATE = "page.html.jinja"


def write_page(
    destination: str, warehouses: Sequence[Warehouse], today: date, symbol: str = ""
) -> Facts:
    """Write the page of a store to a path or address, whole or not at all; return what it tells.

    Args:
        destination: a file's path, or an address such as s3://bucket/key; it is replaced.
        warehouses: the store, one for each dataset.
        today: the day by which weeks are due.
        symbol: of the chart; by default the largest of the newest Tier 1 week.

    Raises:
        OwnershipError: there is another store's page, or a file that is no page of ours.
        ValueError: the store has no such symbol.

    """
    path, store = UPath(destination), warehouses[0]
    check_page(store, path)
    facts = gather(warehouses, today, symbol)
    make_folder(path.parent)
    write_whole(path, render(facts, store.store_id).encode())
    return facts


def render(facts: Facts, store_id: str) -> str:
    """Return the page as HTML; it says of which store it is."""
    shown = facts.symbol
    text = _template().render(
        facts=facts,
        store_id=store_id,
        figures={each.dataset.name: _figures(each) for each in facts.datasets},
        symbol_figure=shown
        and Markup(  # made by matplotlib, which escapes what it is given
            symbol_chart(shown, "symbol", f"Weekly shares of {shown.symbol}; the table has them")
        ),
        weeks={each.dataset.name: _week_rows(each) for each in facts.datasets},
        states=list(State),
        state_looks=STATES,
        grade_looks=GRADES,
        weeks_shown=WEEKS_SHOWN,
        top=TOP,
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def _figures(facts: DatasetFacts) -> dict[str, Markup]:
    name, title = facts.dataset.name, facts.dataset.title
    more = "the table of all weeks has the same"
    return {
        "coverage": Markup(
            coverage_map(
                facts.coverage, f"{name}-coverage", f"Coverage of {title} weeks by tier; {more}"
            )
        ),
        "quality": Markup(
            quality_map(
                facts.coverage, f"{name}-quality", f"Grades of {title} weeks by tier; {more}"
            )
        ),
    }


def _week_rows(facts: DatasetFacts) -> list[tuple[date, dict[str, Any]]]:
    """Return the coverage by week, the newest first, and in it by tier."""
    found: dict[date, dict[str, Any]] = {}
    for row in facts.coverage.to_dict("records"):
        found.setdefault(row["week_ending"], {})[row["tier"]] = row
    return sorted(found.items(), reverse=True)


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("otc_assets.research", package_path="")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["shares"] = lambda shares: f"{shares:,.0f}"
    environment.filters["signed"] = lambda percent: f"{percent:+,.1f}"
    return environment.get_template(TEMPLATE)
