"""Writes the dashboards' JSON: ``python -m deploy.grafana``."""

from deploy.grafana.boards import write

write()
