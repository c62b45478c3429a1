"""The rules of FINRA's weekly OTC transparency data, as pure functions and values.

Belongs here: tiers, weeks, the publication calendar, record identity, revisions, reject
reasons, quality rules and the description of every table. Does not belong here: files,
databases, Dagster. May import nothing else of this project.
"""
