"""The one `Definitions` object: it joins assets, checks and the resource, and decides nothing."""

from typing import Any

import dagster as dg

from otc_assets.assets.factory import build_assets
from otc_assets.assets.platform import Platform
from otc_assets.assets.previews import accept_previews
from otc_assets.checks.factory import build_checks


def build_defs(**resource_overrides: Any) -> dg.Definitions:
    """Return everything that Dagster loads; tests pass resources of their own."""
    accept_previews()
    return dg.Definitions(
        assets=build_assets(),
        asset_checks=build_checks(),
        resources={"platform": Platform(), **resource_overrides},
        # A process for each step would spend 5 to 12 seconds on imports; scale out by runs.
        executor=dg.in_process_executor,
    )


defs = build_defs()
