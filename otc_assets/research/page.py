"""The page for researchers: one HTML file with all in it, of what the store tells.

No script, nothing to load: it can be mailed, printed, kept, and read on a phone. It has the look of
the explorer, and its pictures. The same store gives the same bytes on the same day.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup
from upath import UPath

from otc_assets.operations.ownership import check_page
from otc_assets.research.facts import WEEKS_SHOWN, DatasetFacts, Facts, State, gather
from otc_assets.research.look import FILTERS, NAMES, css
from otc_assets.research.maps import ABSENT, GRADES, LETTERS, coverage_map, quality_map
from otc_assets.research.market import FLOOR, overview, volume_pictures
from otc_assets.research.portrait import measure_figures, week_rows
from otc_assets.research.state import state_of
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
    write_whole(path, render(facts, warehouses).encode())
    return facts


def render(facts: Facts, warehouses: Sequence[Warehouse]) -> str:
    """Return the page as HTML; it says of which store it is."""
    parts = [each.portrait for each in facts.datasets if each.portrait and each.portrait.weeks]
    states = {store.dataset.name: state_of(store) for store in warehouses}
    known = {name: set(state.slices) for name, state in states.items()}
    rows = week_rows(parts, states, known)
    text = _template().render(
        facts=facts,
        store_id=warehouses[0].store_id,
        css=Markup(css()),  # our own file
        overview=overview(facts.volumes, warehouses[0].url),
        volume_figures=volume_pictures(facts.volumes),
        parts=parts,
        rows=rows,
        figures=measure_figures(parts, rows),
        floor=FLOOR,
        datasets=[_standing(each) for each in facts.datasets],
        weeks={each.dataset.name: _week_rows(each) for each in facts.datasets},
        states=list(State),
        letters=LETTERS,
        grades=GRADES,
        weeks_shown=WEEKS_SHOWN,
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def _standing(facts: DatasetFacts) -> dict[str, Any]:
    """Return how a dataset stands, as the explorer's page of coverage has it."""
    title, more = facts.dataset.title, "the tables say the same"
    return {
        "dataset": facts.dataset,
        "standing": facts.standing.to_dict("records"),
        "counts": facts.counts,
        "freshness": facts.freshness,
        "coverage": coverage_map(facts.coverage, f"Coverage of {title} weeks; {more}"),
        "quality": quality_map(facts.coverage, f"Grades of {title} weeks; {more}"),
    }


def _week_rows(facts: DatasetFacts) -> list[tuple[date, dict[str, Any]]]:
    """Return the coverage of the newest weeks by week, the newest first, and in it by tier.

    Weeks after the newest one in the store are left out: a line above the map tells of them.
    """
    there = facts.coverage[~facts.coverage["state"].isin(ABSENT)]["week_ending"]
    found: dict[date, dict[str, Any]] = {}
    for row in facts.coverage.to_dict("records"):
        if len(there) and row["week_ending"] <= there.max():
            found.setdefault(row["week_ending"], {})[row["tier"]] = row
    return sorted(found.items(), reverse=True)[:WEEKS_SHOWN]


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("otc_assets.research", package_path="")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= FILTERS
    environment.globals |= NAMES
    return environment.get_template(TEMPLATE)
