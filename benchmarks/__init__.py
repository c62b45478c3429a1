"""Speed, measured beside a baseline in the same run. Compare ratios, never absolute times.

One module for each bar; run one as ``python -m benchmarks.p1_week_to_venue_share``, or all of them
with ``make bench``. No test asserts a time.
"""
