"""Rows in and out of a database: SQLite or PostgreSQL, one schema for both.

Belongs here: DDL, migrations, connections, locks, bulk reads and writes of slices. Does not
belong here: what the rows mean. May import `otc_assets.domain` and `otc_assets.calculations`
(for their table descriptions), never Dagster.
"""
