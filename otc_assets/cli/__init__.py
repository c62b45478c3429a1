"""The command `otc`: how things stand, what was known, and what would fail.

Belongs here: arguments, and how an answer is printed. Does not belong here: what the answer is,
which `operations` and `research` know. May import these and what stands below, never Dagster: a
command should answer in a second. Exit codes: 0 well, 1 something is wrong with the data or nothing
was found, 2 wrong use, or there is no store to ask.
"""
