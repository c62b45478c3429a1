"""Asset checks: the quality rules of `otc_assets.domain.quality`, judged on what the store holds.

Belongs here: what turns verdicts into Dagster's check events. Does not belong here: rules and their
severity. May import everything but `otc_assets.definitions`.
"""
