"""What is asked of a registry, and what is said when it does not answer as it should: real HTTP, a real registry behind it."""

import base64
import json
from typing import Any

import pytest
from pydantic import SecretStr

from penstock.registry.client import Access, Registry
from streams.errors import RegistryError, RegistryUnreachable
from tests.registry.conftest import ask
from tests.registry.gate import gate

pytestmark = pytest.mark.timeout(300)  # the first one downloads the registry

SECRET = "s3cret-canary"
A = {"type": "record", "name": "A", "namespace": "x", "fields": [{"name": "n", "type": "long"}]}
B = {"type": "record", "name": "B", "namespace": "x", "fields": [{"name": "a", "type": "x.A"}]}


def text(schema: Any) -> str:
    """Return a schema as it is registered."""
    return json.dumps(schema)


async def test_a_schema_is_registered_found_and_compared(registry: str) -> None:
    async with Registry(Access(registry)) as asked:
        subject = "a subject/of its own-value"
        assert await asked.latest(subject) is None
        assert await asked.id_of(subject, text(A)) is None
        assert await asked.accepts(subject, text(A))
        schema_id = await asked.register(subject, text(A))
        assert await asked.register(subject, text(A)) == schema_id
        assert await asked.id_of(subject, text(A)) == schema_id
        latest = await asked.latest(subject)
        assert latest is not None
        assert (latest.id, json.loads(latest.schema), latest.kind) == (schema_id, A, "AVRO")
        assert json.loads(await asked.schema(schema_id) or "") == A
        assert await asked.schema(987_654) is None
        other = {**A, "fields": [{"name": "n", "type": "string"}]}
        assert not await asked.accepts(subject, text(other))


async def test_a_schema_with_references_comes_whole(registry: str) -> None:
    ask(f"{registry}/subjects/x.A/versions", {"schema": text(A)})
    references = [{"name": "x.A", "subject": "x.A", "version": 1}]
    found = ask(f"{registry}/subjects/refers-value/versions", {"schema": text(B), "references": references})
    async with Registry(Access(registry)) as asked:
        whole = json.loads(await asked.schema(found["id"]) or "")
    assert whole["fields"][0]["type"] == {**A, "namespace": "x"}


async def test_what_is_not_avro_is_said_to_be_none(registry: str) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    body = {"schema": text(schema), "schemaType": "JSON"}
    found = ask(f"{registry}/subjects/json-value/versions", body)
    async with Registry(Access(registry)) as asked:
        latest = await asked.latest("json-value")
        assert latest is not None
        assert latest.kind == "JSON"
        assert await asked.schema(found["id"]) is None


BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    ("wanted", "own"),
    [
        (BASIC, {"username": "me", "password": SecretStr(SECRET)}),
        (f"Bearer {SECRET}", {"token": SecretStr(SECRET)}),
    ],
)
async def test_credentials_are_sent_and_never_shown(registry: str, wanted: str, own: dict[str, Any]) -> None:
    with gate(registry, wanted) as door:
        access = Access(door.url, **own)
        async with Registry(access) as asked:
            assert await asked.latest("nobody-value") is None
        async with Registry(Access(door.url, token=SecretStr(f"{SECRET}-wrong"))) as asked:
            with pytest.raises(RegistryError, match=r"refuses GET .* \(401\): check PENSTOCK_SCHEMA_REGISTRY") as error:
                await asked.latest("nobody-value")
        assert SECRET not in f"{access!r} {error.value}"


async def test_a_registry_that_is_away_or_fails_is_said_to_be(registry: str) -> None:
    async with Registry(Access("http://127.0.0.1:1")) as asked:
        with pytest.raises(RegistryUnreachable, match="does not answer: ConnectError"):
            await asked.schema(1)
    with gate(registry) as door:
        door.closed = True
        async with Registry(Access(door.url)) as asked:
            with pytest.raises(RegistryUnreachable, match="fails: 503"):
                await asked.schema(1)
