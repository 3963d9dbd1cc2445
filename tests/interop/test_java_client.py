"""A client in Java that knows the AsyncAPI document and nothing else: it publishes, answers an external node, taps a journal."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, assert_clean
from tests.registry.conftest import RegistryCli

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]


def run_client(command: list[str], cli: Cli, file: Path, registry: str = "-") -> list[dict[str, Any]]:
    """Run the client on two inputs; return what it read in the journal."""
    described = cli("describe", file, "--format", "asyncapi")
    assert described.code == 0, described.err
    document = cli.folder / "asyncapi.json"
    document.write_text(described.out)
    assert cli.bootstrap is not None
    inputs = ['one={"text": "hello"}', 'two={"text": "good morning"}']
    done = subprocess.run(
        [*command, str(document), cli.bootstrap, "score", registry, *inputs],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(cli: Cli, name: str, tapped: list[dict[str, Any]]) -> None:
    """Check what it read, and what became of its answers."""
    succeeded = {line["record"]["run_id"]: line["record"] for line in tapped if line["type"] == "Succeeded"}
    assert {run: json.loads(record["output"]) for run, record in succeeded.items()} == {
        "one": {"score": 5},
        "two": {"score": 12},
    }
    assert {line["type"] for line in tapped} == {"ResultReceived", "Succeeded"}
    results = cli("consume", name, "--max", "2", "--timeout", "40", "--json").json
    assert {result["run_id"]: result["outputs"]["verdict"]["long"] for result in results} == {"one": False, "two": True}


def test_it_does_its_three_jobs(cli: Cli, scoring: tuple[str, Path], java_client: list[str]) -> None:
    name, file = scoring
    cli.worker(file)
    check(cli, name, run_client(java_client, cli, file))
    assert_clean(cli, name)


def test_it_does_them_with_a_schema_registry(
    registry_cli: RegistryCli, scoring: tuple[str, Path], java_client: list[str]
) -> None:
    name, file = scoring
    registry_cli.worker(file)
    check(registry_cli, name, run_client(java_client, registry_cli, file, registry_cli.registry))
    registry_cli.assert_clean(name)
