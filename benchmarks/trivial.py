"""One asset that does nothing: what Dagster's command costs by itself."""

import dagster as dg


@dg.asset
def trivial() -> None:
    """Do nothing."""


defs = dg.Definitions(assets=[trivial], executor=dg.in_process_executor)
