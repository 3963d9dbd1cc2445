"""Records in the format of a schema registry, changed at the clients: everything behind them has the ids of `avro/index.json`.

A record that comes in with the registry's id of ours gets our head, one that goes out the registry's; the body is the same. Ids
that nobody has asked for yet are asked for here, before a batch is handed on. With no registry configured nothing of this is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas import registered
from schemas.codec import CodecError, decode, dumps, encode, loads
from streams.errors import InputMisfit, RegistryUnreachable
from topology.naming import is_changelog
from topology.result_schema import MISFITS

if TYPE_CHECKING:
    from topology.plan import WorkflowPlan

log = structlog.get_logger(__name__)

Fetch = Callable[[Iterable[int]], Awaitable[Mapping[int, str | None]]]
"""Asks the registry for schemas; None for what it has not; `RegistryUnreachable` if it does not answer."""

Prepare = Callable[["WorkflowPlan", "Wire"], Awaitable[None]]
"""Checks and registers what a workflow writes, and tells a wire the ids."""


ValuesOf = Callable[[str], Awaitable[tuple[Any, int] | None]]
"""Asks the registry what values of a topic look like: the newest Avro schema and its id, None where there is none."""


async def unprepared(plan: WorkflowPlan, wire: Wire) -> None:
    """Register nothing: records go out as they are in the program."""


async def unknown_values(topic: str) -> tuple[Any, int] | None:
    """Know of no schema."""
    return None


ASK_AGAIN_S = 1.0
PATIENCE_S = 30.0
"""How long a command waits for a registry that is away; a worker waits without end, and does what it can meanwhile."""
IDLE_S = 0.1
INPUT, OUTPUT = ".input", ".output"
NONE_FOR_S = 10.0
"""How long it is taken for granted that a topic's values have no schema."""

Batch = dict[TopicPartition, list[ConsumerRecord]]


class Wire:
    """What is known of a registry, and how records look there."""

    def __init__(
        self,
        fetch: Fetch,
        prepare: Prepare = unprepared,
        values_of: ValuesOf = unknown_values,
        changes_all: bool = True,
    ) -> None:
        self._fetch = fetch
        self._prepare = prepare
        self._values_of = values_of
        self._asked_at: dict[str, float] = {}
        self._changes_all = changes_all
        self._heads: dict[str, Mapping[bytes, bytes]] = {}
        self._values: dict[str, tuple[registered.Codec, int]] = {}
        self._away_since: float | None = None
        self._ask_at = 0.0

    async def prepare(self, plan: WorkflowPlan) -> None:
        """See that the registry has all schemas that a workflow writes, before the first is written.

        Raises:
            SchemaBreaks, RegistryError, RegistryUnreachable: no worker of the workflow may start.
        """
        await self._prepare(plan, self)

    def only_reading(self) -> Wire:
        """Return a wire that registers nothing and writes as there were no registry: for what is to be deleted again."""
        return Wire(self._fetch)

    def copying(self) -> Wire:
        """Return a wire for who copies topics: bytes stay as they are, but for changelogs, whose rows are looked at."""
        return Wire(self._fetch, changes_all=False)

    def has(self, topic: str) -> bool:
        """Say whether it is known how records of a topic are written."""
        return topic in self._heads or topic in self._values

    def register(self, topic: str, names: tuple[str, ...], schema_id: int) -> None:
        """Write records of the types `names` to `topic` by the union that has this id."""
        self._heads[topic] = registered.heads_of(names, schema_id)

    def register_output(self, topic: str, schema_id: int) -> None:
        """Write results, which are encoded already, by the schema that has this id."""
        self._heads[topic] = {
            registered.HEAD.pack(0, registered.OUTPUT_ID): registered.HEAD.pack(0, schema_id),
        }

    def register_values(self, topic: str, schema: Any, schema_id: int) -> None:
        """Write JSON values to `topic` as Avro of this schema."""
        self._values[topic] = (registered.Codec(schema), schema_id)

    def out(self, topic: str, value: bytes | None) -> bytes | None:
        """Return a value as the registry's readers know it."""
        if value is None:
            return None
        heads = self._heads.get(topic)
        if heads is not None:
            head = heads.get(value[:5])
            return head + value[5:] if head is not None else _renewed(value, heads)
        if topic in self._values and value[:1] != b"\0":
            codec, schema_id = self._values[topic]
            try:
                return codec.encode(loads(value), schema_id)
            except ValueError as error:
                raise InputMisfit(f"not an input as schema {schema_id} of {topic}-value has it: {error}") from None
        return value

    async def published(self, topic: str, value: bytes | None) -> bytes | None:
        """Return a value that is sent to any topic; an input is written as the topic's newest schema has it, if that is Avro."""
        if topic.endswith(INPUT) and topic not in self._values and time.monotonic() >= self._asked_at.get(topic, 0):
            found = await self._values_of(topic)
            self._asked_at[topic] = time.monotonic() + NONE_FOR_S
            if found is not None:
                self.register_values(topic, *found)
        return self.out(topic, value)

    async def received(self, consumer: AIOKafkaConsumer, batch: Batch, results: bool) -> Batch:
        """Return what a consumer fetched as the program has it; `results` in Avro become JSON, too.

        What has a schema that cannot be asked for now is not handed on, nor what is behind it: it is fetched again.
        """
        missing = {found for records in batch.values() for r in records if (found := registered.unknown(r.value))}
        if missing:
            await self._learn(missing)
            batch = self._without_unknown(consumer, batch)
            if not batch:
                await asyncio.sleep(IDLE_S)
        for place, records in batch.items():
            if not self._changes_all and not is_changelog(place.topic):
                continue
            as_json = results and place.topic.endswith(OUTPUT)
            for record in records:
                if record.value is not None:
                    record.value = _result(record.value) if as_json else registered.local(record.value)
        return batch

    async def _learn(self, ids: Iterable[int]) -> None:
        if time.monotonic() < self._ask_at:
            return
        try:
            for schema_id, text in (await self._fetch(ids)).items():
                registered.learn(schema_id, text)
            self._away_since = None
        except RegistryUnreachable as error:
            now = time.monotonic()
            self._ask_at = now + ASK_AGAIN_S
            if self._away_since is None:
                self._away_since = now
                log.warning("waiting for the schema registry: a record has a schema not seen before", reason=str(error))

    def _without_unknown(self, consumer: AIOKafkaConsumer, batch: Batch) -> Batch:
        left: Batch = {}
        for place, records in batch.items():
            known = next((at for at, r in enumerate(records) if registered.unknown(r.value)), len(records))
            if known < len(records):
                consumer.seek(place, records[known].offset)
            if known:
                left[place] = records[:known]
        return left

    def raise_if_away(self) -> None:
        """Raise `RegistryUnreachable` if the registry has been away for long."""
        if self._away_since is not None and time.monotonic() - self._away_since > PATIENCE_S:
            raise RegistryUnreachable(
                f"the schema registry gave no answer for {PATIENCE_S:.0f} s: is it overloaded or gone?"
            )


def _renewed(value: bytes, heads: Mapping[bytes, bytes]) -> bytes:
    """Return a record of a former schema as one of today's; what is not ours goes out as it is."""
    try:
        today = encode(decode(value))
    except CodecError:
        return value
    head = heads.get(today[:5])
    return value if head is None else head + today[5:]


def _result(value: bytes) -> bytes:
    """Return a result as JSON text; what is none goes on as it is, and is reported by who expects one."""
    if registered.id_of(value) is None:
        return value
    try:
        result = registered.json_of(value)
    except CodecError:
        return value
    if isinstance(result, dict) and isinstance(result.get("outputs"), dict):
        result["outputs"] |= result.pop(MISFITS, {})
    return dumps(result).encode()
