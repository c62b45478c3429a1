"""The Dagster assets: partitions, resources, one asset for each table, and their metadata.

Belongs here: what joins Dagster to `otc_assets.operations`. Does not belong here: rules, formulas,
SQL. Nothing below this layer knows of Dagster.
"""
