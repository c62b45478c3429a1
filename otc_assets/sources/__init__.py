"""Bytes in: files in FINRA's dialects, their index by slice, and the archive of what was read.

Belongs here: reading, recognising, parsing, archiving. Does not belong here: databases, Dagster.
May import `otc_assets.domain` only.
"""
