"""Manifests against Kubernetes's schemas, values against the chart's keys, and a run's job.

No API server and no Helm run here. The chart's keys were read from its own schema
(dagster-io/dagster, helm/dagster/schema), which refuses others for most parts.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster import DagsterRun
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_k8s.launcher import K8sRunLauncher
from kubernetes.client import ApiClient

from otc_assets.automation.jobs import fill_gaps_job
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy/kubernetes"
SCHEMA_VERSION = "1.37"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text())
MANIFESTS = {
    f"{document['kind']} {document['metadata']['name']}": document
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "values.yaml"
    for document in yaml.safe_load_all(path.read_text())
}
CRON = MANIFESTS["CronJob otc-fill-gaps"]["spec"]
POD_KEYS = {
    "image",
    "env",
    "envConfigMaps",
    "envSecrets",
    "labels",
    "nodeSelector",
    "affinity",
    "tolerations",
    "podSecurityContext",
    "securityContext",
    "resources",
    "readinessProbe",
    "livenessProbe",
    "startupProbe",
    "annotations",
    "schedulerName",
    "volumeMounts",
    "volumes",
}
SERVER_KEYS = POD_KEYS | {"deploymentLabels"}
CHART = {
    "": {
        "dagsterWebserver",
        "dagster-user-deployments",
        "postgresql",
        "generatePostgresqlPasswordSecret",
        "generateCeleryConfigSecret",
        "rabbitmq",
        "redis",
        "flower",
        "ingress",
        "imagePullSecrets",
        "computeLogManager",
        "scheduler",
        "runLauncher",
        "pythonLogs",
        "dagsterDaemon",
        "busybox",
        "migrate",
        "telemetry",
        "serviceAccount",
        "global",
        "retention",
        "additionalInstanceConfig",
    },
    "dagsterWebserver": SERVER_KEYS
    | {
        "replicaCount",
        "nameOverride",
        "pathPrefix",
        "service",
        "workspace",
        "enableReadOnly",
        "dbStatementTimeout",
        "dbPoolRecycle",
        "logLevel",
    },
    "dagsterDaemon": SERVER_KEYS
    | {
        "enabled",
        "runCoordinator",
        "heartbeatTolerance",
        "runMonitoring",
        "runRetries",
        "sensors",
        "schedules",
    },
    "dagster-user-deployments": {"enabled", "enableSubchart", "imagePullSecrets", "deployments"},
    "postgresql": {
        "image",
        "enabled",
        "postgresqlHost",
        "postgresqlUsername",
        "postgresqlPassword",
        "postgresqlDatabase",
        "postgresqlParams",
        "postgresqlScheme",
        "service",
    },
    "global": {
        "postgresqlSecretName",
        "dagsterHome",
        "serviceAccountName",
        "celeryConfigSecretName",
    },
    "runLauncher": {"type", "config"},
}
DEPLOYMENT_KEYS = POD_KEYS | {
    "name",
    "port",
    "dagsterApiGrpcArgs",
    "codeServerArgs",
    "includeConfigInLaunchedRuns",
}
LAUNCHER_KEYS = {
    "image",
    "imagePullPolicy",
    "jobNamespace",
    "loadInclusterConfig",
    "kubeconfigFile",
    "envConfigMaps",
    "envSecrets",
    "envVars",
    "volumeMounts",
    "volumes",
    "labels",
    "failPodOnRunFailure",
    "resources",
    "schedulerName",
    "securityContext",
    "runK8sConfig",
}
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
(DEPLOYMENT,) = VALUES["dagster-user-deployments"]["deployments"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_what_kubernetes_takes(name):
    kubernetes_validate.validate(MANIFESTS[name], SCHEMA_VERSION, strict=True)


@pytest.mark.parametrize("where", CHART)
def test_values_have_only_keys_that_the_chart_knows(where):
    values = VALUES[where] if where else VALUES
    assert set(values) <= CHART[where]


def test_values_of_the_code_location_and_the_launcher_have_only_keys_that_the_chart_knows():
    assert set(DEPLOYMENT) <= DEPLOYMENT_KEYS
    assert set(LAUNCHER) <= LAUNCHER_KEYS


def _guards() -> dict[str, tuple[Any, Any, Any]]:
    """What guards each pod, of the chart and of the manifests: pod, container, resources."""
    chart = {"webserver": VALUES["dagsterWebserver"], "daemon": VALUES["dagsterDaemon"]}
    guards = {
        name: (each["podSecurityContext"], each["securityContext"], each["resources"])
        for name, each in (chart | {"code": DEPLOYMENT}).items()
    }
    for name, spec in {
        "exporter": MANIFESTS["Deployment otc-exporter"]["spec"]["template"]["spec"],
        "cron": CRON["jobTemplate"]["spec"]["template"]["spec"],
        "migrate": MANIFESTS["Job otc-migrate"]["spec"]["template"]["spec"],
    }.items():
        (container,) = spec["containers"]
        guards[name] = spec["securityContext"], container["securityContext"], container["resources"]
    return guards


@pytest.mark.parametrize("name", _guards())
def test_a_pod_is_not_root_writes_to_its_scratch_alone_and_has_limits(name):
    pod, container, resources = _guards()[name]
    assert (pod["runAsNonRoot"], pod["runAsUser"]) == (True, 10001)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert resources["limits"]["memory"]


def test_no_file_has_a_secret_in_it():
    assert "Secret" not in {document["kind"] for document in MANIFESTS.values()}
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    settings = MANIFESTS["ConfigMap otc-settings"]["data"]
    assert not {"OTC_DATABASE_URL", "FINRA_CLIENT_SECRET", "OTC_NOTIFY_URL"} & set(settings)


def test_what_the_chart_adds_to_the_instance_is_what_the_instance_says_elsewhere():
    elsewhere = yaml.safe_load((REPOSITORY / "deploy/dagster.yaml").read_text())
    for key, value in VALUES["additionalInstanceConfig"].items():
        assert value == elsewhere[key], key


def test_all_pods_together_keep_to_the_rate_that_finra_allows():
    rate = float(MANIFESTS["ConfigMap otc-settings"]["data"]["OTC_REQUESTS_PER_SECOND"])
    runs = VALUES["additionalInstanceConfig"]["concurrency"]["pools"]["default_limit"]
    assert rate * (runs + 2) <= 20  # the code location and the CronJob ask too


def test_the_cron_job_runs_on_the_weekdays_on_which_finra_publishes():
    days = set()
    for dataset in DATASETS:
        for tier in dataset.publication_delay:
            for number in range(150):
                week = WeekKey(tier, date(2025, 1, 3) + timedelta(weeks=number))
                days.add(expected_publication_date(week, dataset).isoweekday())
    assert CRON["schedule"].split()[-1] == ",".join(map(str, sorted(days)))
    assert (CRON["timeZone"], CRON["concurrencyPolicy"]) == ("America/New_York", "Forbid")


def test_the_cron_job_runs_jobs_that_there_are():
    (container,) = CRON["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    names = " ".join(dataset.name for dataset in DATASETS)
    assert f"for dataset in {names}; do" in container["args"][0]
    for dataset in DATASETS:
        assert fill_gaps_job(dataset).name == f"{dataset.name}_fill_gaps"


@pytest.fixture
def launcher(tmp_path: Path) -> K8sRunLauncher:
    """The launcher that the chart configures from the values."""
    config = tmp_path / "kubeconfig"
    cluster = {"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "none", "context": {"cluster": "none", "user": "none"}}
    config.write_text(
        yaml.safe_dump(
            {"apiVersion": "v1", "kind": "Config", "current-context": "none"}
            | {
                "clusters": [cluster],
                "contexts": [context],
                "users": [{"name": "none", "user": {"token": "none"}}],
            }
        )
    )
    run = LAUNCHER["runK8sConfig"]
    return K8sRunLauncher(
        service_account_name="dagster",
        instance_config_map="dagster-instance",
        postgres_password_secret=VALUES["global"]["postgresqlSecretName"],
        dagster_home=VALUES["global"]["dagsterHome"],
        image_pull_policy=LAUNCHER["imagePullPolicy"],
        load_incluster_config=False,
        kubeconfig_file=str(config),
        job_namespace="otc",
        env_config_maps=[each["name"] for each in LAUNCHER["envConfigMaps"]],
        env_secrets=[each["name"] for each in LAUNCHER["envSecrets"]],
        volumes=LAUNCHER["volumes"],
        volume_mounts=LAUNCHER["volumeMounts"],
        resources=LAUNCHER["resources"],
        security_context=LAUNCHER["securityContext"],
        run_k8s_config={
            "pod_spec_config": run["podSpecConfig"],
            "job_spec_config": run["jobSpecConfig"],
        },
    )


def test_a_run_becomes_a_job_that_is_guarded_and_has_its_secrets_by_reference(launcher):
    image = "{repository}:{tag}".format(**DEPLOYMENT["image"])
    context = launcher.get_container_context_for_run(DagsterRun(job_name="ats_tables"))
    built = construct_dagster_k8s_job(
        context.get_k8s_job_config(image, launcher),
        ["dagster", "api", "execute_run"],
        "dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
    )
    job = ApiClient().sanitize_for_serialization(built)
    kubernetes_validate.validate(job, SCHEMA_VERSION, strict=True)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == image
    assert spec["securityContext"] == DEPLOYMENT["podSecurityContext"]
    assert container["securityContext"] == LAUNCHER["securityContext"]
    assert container["resources"] == LAUNCHER["resources"]
    assert {"secretRef": {"name": "otc-secrets"}} in container["envFrom"]
    assert {"configMapRef": {"name": "otc-settings"}} in container["envFrom"]
    password = next(each for each in container["env"] if each["name"] == "DAGSTER_PG_PASSWORD")
    assert password["valueFrom"]["secretKeyRef"]["name"] == "otc-postgresql"
    assert "value" not in password
    assert {"name": "scratch", "mountPath": "/tmp"} in container["volumeMounts"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
