"""What is done to a slice: taking it in, computing its tables, judging it.

Belongs here: the join of sources, calculations and warehouse, one transaction at a time. Does not
belong here: Dagster, formulas, SQL of a dialect. May import everything below: sources, warehouse,
calculations, domain.
"""
