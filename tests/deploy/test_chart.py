"""The Helm chart as helm renders it, held against Kubernetes' own schemas. Nothing is installed anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "penstock"
VALUES = Path(__file__).parent / "values.yaml"
KUBERNETES = ("1.29.0", "1.33.0")
HELM = (
    os.environ.get("PENSTOCK_HELM")
    or shutil.which("helm")
    or shutil.which("helm", path=str(ROOT / ".penstock" / "bin"))
)

pytestmark = pytest.mark.skipif(
    HELM is None, reason="helm is not installed: `make test-containers` brings it where Go is"
)


def helm(*args: str) -> subprocess.CompletedProcess[str]:
    assert HELM is not None
    return subprocess.run([HELM, *args], capture_output=True, text=True, check=False)


@cache
def rendered(*args: str) -> tuple[dict[str, Any], ...]:
    done = helm("template", "rel", str(CHART), "--namespace", "ai", *args)
    assert done.returncode == 0, done.stderr
    return tuple(document for document in YAML(typ="safe").load_all(done.stdout) if document)


def whole() -> tuple[dict[str, Any], ...]:
    return rendered("--values", str(VALUES))


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = (doc for doc in whole() if (doc["kind"], doc["metadata"]["name"]) == (kind, name))
    return found


def test_helm_finds_nothing_wrong() -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(VALUES))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_would_take_it(version: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed: `make test-containers` brings it"
    )
    little = rendered(
        "--set", "kafka.bootstrap=k:9092", "--set", "workflows[0].id=a", "--set", "workflows[0].file=/a.yaml"
    )
    for document in (*whole(), *little):
        if not document["apiVersion"].startswith("keda.sh/"):  # KEDA's own: its schemas are in no package
            validate.validate(document, version, strict=True)


def test_pods_may_do_little_and_have_time_to_drain() -> None:
    pods = [doc["spec"]["template"]["spec"] for doc in whole() if doc["kind"] == "Deployment"]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    worker = one("Deployment", "rel-penstock-orders")["spec"]["template"]["spec"]
    assert worker["terminationGracePeriodSeconds"] > 30
    probes = {name: worker["containers"][0][name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")}
    assert probes == {"livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_workers_are_scaled_by_their_groups_lag_up_to_the_partitions() -> None:
    scaled = one("ScaledObject", "rel-penstock-orders")["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (1, 8)
    trigger = scaled["triggers"][0]
    assert trigger["metadata"]["consumerGroup"] == "team-a.penstock.orders"
    assert trigger["authenticationRef"] == {"name": "rel-penstock-kafka"}
    assert "replicas" not in one("Deployment", "rel-penstock-orders")["spec"]
    login = one("Secret", "rel-penstock-kafka-login")["stringData"]
    assert login == {"tls": "enable", "sasl": "scram_sha512", "username": "orders"}


def test_secrets_come_from_secrets() -> None:
    env = {
        e["name"]: e
        for e in one("Deployment", "rel-penstock-orders")["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    ref = {"secretKeyRef": {"name": "kafka-user", "key": "password"}}
    assert env["PENSTOCK_SASL_PLAIN_PASSWORD"]["valueFrom"] == ref
    assert env["OPENAI_API_KEY"]["valueFrom"] == {"secretKeyRef": {"name": "openai", "key": "api-key"}}
    console = one("Deployment", "rel-penstock-console")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "OPENAI_API_KEY" not in {e["name"] for e in console}


def test_files_are_where_the_workflow_looks_for_them() -> None:
    pod = one("Deployment", "rel-penstock-orders")["spec"]["template"]["spec"]
    data = one("ConfigMap", "rel-penstock-orders-files")["data"]
    (volume,) = (v for v in pod["volumes"] if v["name"] == "workflow")
    assert {item["path"] for item in volume["configMap"]["items"]} == {"workflow.yaml", "prompts/classify.j2"}
    assert {item["key"] for item in volume["configMap"]["items"]} == data.keys()
    assert pod["containers"][0]["args"][:3] == ["worker", "/workflow/workflow.yaml", "--partitions=8"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("kafka.bootstrap=", "bootstrap"),
        ("workflows[0].id=a b", "Does not match pattern"),
        ("workflows[0].replica=3", "replica"),
        ("workflows[0].replicas=9", "9 replicas, and 4 partitions"),
        ("kafka.securityProtocol=TLS", "securityProtocol"),
    ],
)
def test_values_that_cannot_be_are_refused(setting: str, said: str) -> None:
    good = "kafka.bootstrap=k:9092,workflows[0].id=a,workflows[0].file=/a.yaml"
    done = helm("template", "rel", str(CHART), "--set", good, "--set", setting)
    assert done.returncode != 0
    assert said in done.stderr
