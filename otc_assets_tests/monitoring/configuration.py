"""The deployed configuration of Prometheus and Alertmanager, with ports and intervals of a test."""

from pathlib import Path
from typing import Any

import yaml

from deploy.prometheus.rules import FOLDER


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def prometheus_config(folder: Path, exporter_port: int, alertmanager_port: int) -> Path:
    """Write the configuration of a Prometheus that scrapes and judges each second."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "rules.yml")]
    (managers,) = config["alerting"]["alertmanagers"]
    managers["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{exporter_port}"]}]
    return write(folder / "prometheus.yml", config)


def alertmanager_config(folder: Path, webhook_port: int) -> Path:
    """Write the configuration of an Alertmanager that waits a second before it tells a webhook."""
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    (receiver,) = config["receivers"]
    receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{webhook_port}/"
    return write(folder / "alertmanager.yml", config)
