"""Speed, measured beside a baseline in the same run. Compare ratios, never absolute times.

One module for each bar; run one as ``python -m benchmarks.p10_command``, or all of them with
``make bench``. Each runs in a home of its own, and ends non-zero if its bar is missed (`entry`).
No test asserts a time.
"""
