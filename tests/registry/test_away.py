"""A registry that goes away: what runs goes on; only what has a schema never seen before waits until it is back."""

import asyncio
from pathlib import Path

import pytest

from tests.kafka_tools import publish
from tests.registry.conftest import PREFIX, RegistryCli
from tests.registry.gate import gate
from tests.registry.test_formats import avro, encoded, register

__all__ = ["avro"]

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

WORKFLOW = """workflow:
  id: {id}
  input_format: avro
  nodes:
    - id: count
      type: function
      handler: nodes.py:count
"""


def test_running_goes_on_and_what_is_new_waits(cli: RegistryCli, avro: tuple[str, Path], registry: str) -> None:
    name, file = avro
    file.write_text(WORKFLOW.format(id=name))
    assert cli.bootstrap is not None
    known = {"type": "record", "name": "Known", "fields": [{"name": "text", "type": "string"}]}
    new = {"type": "record", "name": "New", "fields": [{"name": "text", "type": "string"}]}
    first, second = register(cli, f"{name}-known", known), register(cli, f"{name}-new", new)
    topic = f"{PREFIX}{name}.input"
    with gate(registry) as door:
        cli.registry = door.url
        cli.worker(file, "--partitions", "2")
        cli.registry = registry  # what the test asks must not go through the gate

        def send(schema_id: int, schema: object, run: str) -> None:
            assert cli.bootstrap is not None
            asyncio.run(publish(cli.bootstrap, topic, [encoded(schema_id, schema, {"text": run})], [run]))

        def result(run: str) -> int:
            return cli("consume", name, "--run-id", run, "--timeout", "20", "--json").code

        send(first, known, "before")
        assert result("before") == 0
        door.closed = True
        send(first, known, "meanwhile")
        assert result("meanwhile") == 0
        asked = len(door.asked)
        send(second, new, "new")
        assert cli("consume", name, "--run-id", "new", "--timeout", "3", "--json").code == 1
        assert len(door.asked) > asked  # it asks again and again
        door.closed = False
        assert result("new") == 0
    cli.assert_clean(name)
