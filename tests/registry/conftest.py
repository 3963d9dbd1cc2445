"""A real registry for the session, and what a plain Confluent-format consumer does: fastavro and HTTP, nothing of ours."""

import asyncio
import io
import json
import os
import struct
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pytest

from penstock import devregistry
from penstock.devkafka import ports
from schemas import registered
from tests.cli.conftest import Cli, workflow
from tests.kafka_tools import read_all, until_no_lag

__all__ = ["workflow"]

os.environ.setdefault("PENSTOCK_REGISTRY_DIST", str(Path(__file__).parents[2] / ".penstock" / "registry-dist"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of Apicurio Registry, one for the session."""
    home = tmp_path_factory.mktemp("registry-home")
    running = devregistry.start(home, ports.any_free(), die_with_parent=True)
    yield running.url
    running.stop()


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    """Ids are another registry's in the next session."""
    yield
    registered.forget()


PREFIX = "registry."
"""Of all topics here: who lists all workflows on the session's broker without a registry must not see these."""


@dataclass
class RegistryCli(Cli):
    """The command line with a registry in its settings."""

    registry: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment with the registry."""
        own = {"PENSTOCK_TOPIC_PREFIX": PREFIX}
        own |= {"PENSTOCK_SCHEMA_REGISTRY_URL": self.registry} if self.registry else {}
        return super().env | own | self.more

    def values(self, topic: str) -> list[bytes]:
        """Return the values in a topic as they are on the wire."""
        assert self.bootstrap is not None
        return [record.value for record in asyncio.run(read_all(self.bootstrap, topic)) if record.value is not None]

    def assert_clean(self, workflow: str) -> None:
        """Wait until the workflow is at rest, then audit it."""
        assert self.bootstrap is not None
        asyncio.run(until_no_lag(self.bootstrap, f"{PREFIX}penstock.{workflow}"))
        told = self("audit", "run", workflow).out.rstrip()
        assert told.endswith("0 violations"), told


@pytest.fixture
def cli(tmp_path: Path, bootstrap: str, registry: str) -> Iterator[RegistryCli]:
    """The command line with the session's broker and registry."""
    cli = RegistryCli(tmp_path, bootstrap, registry=registry)
    yield cli
    cli.close()


def ask(url: str, body: Any = None, method: str | None = None) -> Any:
    """Ask a registry, as any client would."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/vnd.schemaregistry.v1+json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@dataclass
class PlainConsumer:
    """Decodes values as Confluent's deserializers do: magic byte, schema id, the schema from the registry."""

    registry: str
    schemas: dict[int, Any] = field(default_factory=dict)

    def decode(self, value: bytes) -> Any:
        """Return what a value holds; records of a union come as (name, record)."""
        magic, schema_id = struct.unpack(">bI", value[:5])
        assert magic == 0
        if schema_id not in self.schemas:
            text = ask(f"{self.registry}/schemas/ids/{schema_id}")["schema"]
            self.schemas[schema_id] = fastavro.parse_schema(json.loads(text))
        return fastavro.schemaless_reader(io.BytesIO(value[5:]), self.schemas[schema_id], None, return_record_name=True)
