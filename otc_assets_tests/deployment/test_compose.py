"""compose.yaml, read as a container engine reads it; none runs here."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from otc_assets_tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy/compose"
TEXT = (FOLDER / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
ENDS = {"migrate"}
"""What does its work and ends, and so has no health."""


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_what_it_runs_and_when_it_is_healthy(name):
    service = SERVICES[name]
    assert re.search(r":v?\d", service["image"])  # pinned by a tag
    assert name in ENDS or service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_can_be_healthy_or_ends(name):
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        ends = "service_completed_successfully" if other in ENDS else "service_healthy"
        assert wait == {"condition": ends}, other


def test_no_password_is_written_down_and_none_has_a_default():
    needed = {f"${{{name}:?set {name}}}" for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD")}
    assert set(re.findall(r"\$\{[^}]*PASSWORD[^}]*}", TEXT)) == needed
    for password in re.findall(r"://\w*:(.*?)@", TEXT):
        assert password in needed
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if any(word in key for word in ("SECRET", "PASSWORD", "AUTH")):
                assert value.startswith("${"), key


def test_ports_are_open_to_this_machine_alone():
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 2  # the UI, Prometheus
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_exists_or_is_a_declared_volume():
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).is_file(), source
                assert mount.endswith(":ro"), source
            else:
                assert source in COMPOSE["volumes"]


def test_containers_of_the_image_cannot_write_to_their_root():
    ours = [s for s in SERVICES.values() if s["image"].startswith("otc-assets:")]
    assert len(ours) == 6
    for service in ours:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_there_are_as_many_workers_as_runs_at_the_same_time():
    instance = yaml.safe_load((REPOSITORY / "deploy/celery/dagster.yaml").read_text())
    (mounted,) = (m for m in SERVICES["daemon"]["volumes"] if "dagster.yaml" in m)
    assert mounted.startswith("../celery/dagster.yaml:")
    assert (
        SERVICES["worker"]["deploy"]["replicas"]
        == (instance["concurrency"]["runs"]["max_concurrent_runs"])
    )


def test_workers_find_the_broker_and_their_settings():
    worker = SERVICES["worker"]
    assert worker["environment"]["DAGSTER_CELERY_BROKER_URL"].endswith("@valkey:6379/0")
    folder = worker["environment"]["PYTHONPATH"]
    assert any(m.split(":")[1].startswith(f"{folder}/dagster_celery") for m in worker["volumes"])
    assert worker["command"][:4] == ["celery", "-A", "dagster_celery.app", "worker"]


def test_prometheus_asks_the_exporter_where_it_answers():
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    port = SERVICES["exporter"]["command"][-1]
    assert job["job_name"] == "otc"  # which the rules ask for
    assert job["static_configs"] == [{"targets": [f"exporter:{port}"]}]


def test_the_workspace_asks_the_code_location_where_the_image_serves_it():
    (entry,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    server = entry["grpc_server"]
    local = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"][0]
    assert server["host"] in SERVICES
    assert f"EXPOSE {server['port']}\n" in (REPOSITORY / "deploy/Dockerfile").read_text()
    assert server["location_name"] == local["python_module"]["location_name"]


def test_the_script_of_the_databases_is_a_shell_script():
    subprocess.run(["sh", "-n", FOLDER / "databases.sh"], check=True)
