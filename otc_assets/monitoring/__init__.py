"""What an operator's Prometheus asks: one exporter over the store and Dagster's instance.

Nothing is counted in memory by the runs. Counters and histograms are what the store's append-only
events add up to, so they never go down and survive every restart; gauges say how things stand when
they are asked. Belongs here: metrics. Does not belong here: alert rules and dashboards (`deploy/`).
"""
