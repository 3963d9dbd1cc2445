"""A workflow's subjects in a registry: every schema it writes is checked, then registered, before its worker joins."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from penstock.registry.client import Registry, Version
from schemas import unions
from schemas.compatibility import breaks
from schemas.unions import union_of
from streams.engine.wire import Wire
from streams.errors import RegistryError, SchemaBreaks
from topology.avro_schema import namespace_of, record_of
from topology.contents import records_of
from topology.plan import WorkflowPlan
from topology.result_schema import result_avro

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Written:
    """What is written to a topic: records of these types, by this schema."""

    topic: str
    schema: Any
    names: tuple[str, ...] = ()
    both_ways: bool = False
    """Whether readers of the former schema must be able to read what is written by this one, too."""

    @property
    def subject(self) -> str:
        """The subject, as Confluent's `TopicNameStrategy` has it."""
        return f"{self.topic}-value"

    @property
    def text(self) -> str:
        """The schema as it is registered."""
        return json.dumps(self.schema)


def written_by(plan: WorkflowPlan) -> list[Written]:
    """Return all that a workflow's workers write in Avro."""
    found = [Written(topic, union_of(names), names) for topic, names in records_of(plan).items()]
    if plan.output_format == "avro":
        found.append(Written(plan.topic("output"), result_avro(plan), both_ways=True))
    return found


async def prepare(plan: WorkflowPlan, registry: Registry, wire: Wire, registers: bool = True) -> dict[str, int]:
    """Check every schema of a workflow; then, and only if all may be written, register what is new and have `wire` use the ids.

    Returns the ids by subject.

    Raises:
        SchemaBreaks: a schema that readers of the registered one could not live with; nothing was registered.
        RegistryError, RegistryUnreachable: what the registry says, or that it says nothing.
    """
    wanted = [one for one in written_by(plan) if not wire.has(one.topic)]
    gate = asyncio.Semaphore(AT_ONCE)

    async def limited(one: Written, known: int | None) -> int:
        async with gate:
            return known if known is not None else await registry.register(one.subject, one.text)

    async def checked(one: Written) -> int | None:
        async with gate:
            return await _check(one, registry)

    known = await asyncio.gather(*(checked(one) for one in wanted))
    missing = [one.subject for one, schema_id in zip(wanted, known, strict=True) if schema_id is None]
    if missing and not registers:
        raise RegistryError(
            f"not in the schema registry at {registry.where}: {', '.join(missing)}. Register them with `penstock registry "
            "register FILE`, or let the worker do it (schema_registry_auto_register)"
        )
    ids = await asyncio.gather(*(limited(one, schema_id) for one, schema_id in zip(wanted, known, strict=True)))
    for one, schema_id in zip(wanted, ids, strict=True):
        _use(one, schema_id, registry, wire)
    found = {one.subject: schema_id for one, schema_id in zip(wanted, ids, strict=True)}
    if plan.input_format == "avro" and not wire.has(plan.topic("input")):
        found |= await _prepare_input(plan, registry, wire, registers)
    return found


async def _prepare_input(plan: WorkflowPlan, registry: Registry, wire: Wire, registers: bool) -> dict[str, int]:
    """Have inputs that are published as JSON written by the subject's newest schema: the producers', else one made of `input_schema`."""
    topic = plan.topic("input")
    subject = f"{topic}-value"
    latest = await registry.latest(subject)
    if latest is not None and latest.kind != "AVRO":
        raise SchemaBreaks(f"topic {topic!r}: input_format is avro, and {subject!r} holds {latest.kind}")
    schema = record_of(plan.input_schema, "Input", namespace_of(plan.id))
    if latest is None and schema is not None and registers:
        schema_id = await registry.register(subject, json.dumps(schema))
        wire.register_values(topic, schema, schema_id)
        return {subject: schema_id}
    if latest is not None:
        wire.register_values(topic, json.loads(latest.schema), latest.id)
        return {subject: latest.id}
    return {}


def _use(one: Written, schema_id: int, registry: Registry, wire: Wire) -> None:
    if schema_id in unions.files():
        raise RegistryError(
            f"the schema registry at {registry.where} gave id {schema_id}, which is one of Penstock's own: records could not be "
            "told apart. Use a registry with fewer than a million schemas"
        )
    if one.names:
        wire.register(one.topic, one.names, schema_id)
    else:
        wire.register_output(one.topic, schema_id)


async def _check(one: Written, registry: Registry) -> int | None:
    """Return the schema's id if it is registered, None if it may be."""
    known = await registry.id_of(one.subject, one.text)
    if known is not None:
        return known
    latest = await registry.latest(one.subject)
    if latest is None:
        return None
    accepted = await registry.accepts(one.subject, one.text)
    found = _breaks(one, latest)
    if accepted and not found:
        return None
    why = "; ".join(found) or "the subject's level of compatibility does not allow it"
    raise SchemaBreaks(
        f"topic {one.topic!r}: the schema breaks what is registered as {one.subject!r} (id {latest.id}): {why}. Nothing was registered "
        "and no worker started. Take the change back, make the field optional, or give the workflow a new id"
    )


def _breaks(one: Written, latest: Version) -> list[str]:
    """Return which fields break; records of ours are compared type by type."""
    if latest.kind != "AVRO":
        return [f"it is {latest.kind}, not Avro"]
    before = json.loads(latest.schema)
    found = breaks(one.schema, before)
    return found + breaks(before, one.schema) if one.both_ways else found
