"""A workflow with an external node, with and without a registry, and the Java client compiled once."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from penstock.devkafka import Broker, install
from tests.cli.conftest import Cli
from tests.interop.jars import compiled
from tests.registry.conftest import RegistryCli, registry

__all__ = ["registry"]

WORKFLOW = """workflow:
  id: {id}
  version: 1.0.0
  input_schema: input.json
  nodes:
    - id: score
      type: external
      timeout_ms: 60000
    - id: verdict
      type: function
      handler: nodes.py:verdict
      dependencies: [score]
      max_retries: 0
"""
HANDLERS = """
def verdict(inputs, context):
    if inputs["score"]["score"] > 100:
        raise ValueError("too long")
    return {"long": inputs["score"]["score"] > 5}
"""


@pytest.fixture
def scoring(tmp_path: Path) -> tuple[str, Path]:
    """Return a workflow whose texts somebody else scores."""
    name = f"interop-{uuid4().hex[:8]}"
    file = tmp_path / f"{name}.yaml"
    file.write_text(WORKFLOW.format(id=name))
    (tmp_path / "nodes.py").write_text(HANDLERS)
    schema = '{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}'
    (tmp_path / "input.json").write_text(schema)
    return name, file


@pytest.fixture
def cli(tmp_path: Path, bootstrap: str) -> Iterator[Cli]:
    """Return the command line without a registry."""
    cli = Cli(tmp_path, bootstrap)
    yield cli
    cli.close()


@pytest.fixture
def registry_cli(tmp_path: Path, bootstrap: str, registry: str) -> Iterator[RegistryCli]:
    """Return the command line with a registry."""
    cli = RegistryCli(tmp_path, bootstrap, registry=registry)
    yield cli
    cli.close()


@pytest.fixture(scope="session")
def java_client(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command of the Java client, compiled against the jars of the embedded Kafka."""
    kafka = install(broker.home, print).jars
    return compiled(Path(__file__).parent / "java" / "Client.java", kafka, tmp_path_factory.mktemp("classes"))
