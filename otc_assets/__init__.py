"""FINRA's weekly off-exchange data as Dagster assets: clean, checked, and as it was known."""
