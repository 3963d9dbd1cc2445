"""What tests on real Kafka share: running engines, publishing, reading until something is there."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.consumer import Consumer
from streams.core.compiled import compile_workflow
from streams.engine.attempt import Node
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from topology.naming import plans_topic, provider_states_topic
from topology.plan import WorkflowPlan

PATIENCE_S = 90


def unique(name: str) -> str:
    """Return a workflow id no other test has: the broker is shared."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def engine_for(plan: WorkflowPlan, nodes: Mapping[str, Node], bootstrap: str, **config: Any) -> Engine:
    """Return an engine with nodes given by the test."""
    return Engine(compile_workflow(plan), nodes, EngineConfig(bootstrap, **config))


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[asyncio.Task[None]]:
    """Run an engine until the block ends, then drain it; its failure is the test's."""
    work = asyncio.create_task(engine.run())
    try:
        ready = asyncio.create_task(engine.ready.wait())
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({work, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if work.done():
            work.result()
        yield work
    finally:
        engine.stop()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(work, return_exceptions=True)
        if not work.cancelled() and work.exception():
            work.result()  # an engine that failed explains whatever the test waited for in vain


async def topics_on(bootstrap: str) -> set[str]:
    """Return the broker's topics."""
    async with connected_admin(EngineConfig(bootstrap)) as admin:
        return set(await admin.list_topics())


async def delete_topics(bootstrap: str, but: set[str]) -> None:
    """Delete all topics but those, Kafka's own and those that all workflows share."""
    async with connected_admin(EngineConfig(bootstrap)) as admin:
        kept = {*but, plans_topic(), provider_states_topic()}
        found = [name for name in await admin.list_topics() if name not in kept and not name.startswith("__")]
        if found:
            await admin.delete_topics(found)


async def publish(
    bootstrap: str, topic: str, values: Sequence[Any], keys: Sequence[str | None] | None = None
) -> list[tuple[int, int]]:
    """Publish values (bytes as they are, None, else JSON) and return partition and offset of each."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        sent = []
        for index, value in enumerate(values):
            raw = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
            key = keys[index] if keys else None
            sent.append(await producer.send(topic, raw, key=None if key is None else key.encode()))
        return [(done.partition, done.offset) for done in await asyncio.gather(*sent)]
    finally:
        await producer.stop()


async def read_until(
    bootstrap: str, topic: str, enough: Callable[[list[ConsumerRecord]], bool]
) -> list[ConsumerRecord]:
    """Read a topic from its beginning until `enough`; fail when that takes too long."""
    found: list[ConsumerRecord] = []
    async with _reader(bootstrap, topic) as consumer:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not enough(found):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
        except TimeoutError:
            raise AssertionError(f"{topic}: only {len(found)} records within {PATIENCE_S} s") from None
    return found


async def read_all(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """Read what a topic holds now."""
    async with _reader(bootstrap, topic) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    return await read_until(bootstrap, topic, lambda found: len(found) >= sum(ends.values()))


@asynccontextmanager
async def _reader(bootstrap: str, topic: str) -> AsyncIterator[Consumer]:
    async with asyncio.timeout(PATIENCE_S):
        consumer = Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
        await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def results(bootstrap: str, plan: WorkflowPlan, count: int) -> dict[str, list[Any]]:
    """Return results by run id once `count` runs have one."""
    found = await read_until(bootstrap, plan.topic("output"), lambda rs: len({r.key for r in rs}) >= count)
    by_run: dict[str, list[Any]] = {}
    for record in found:
        by_run.setdefault(record.key.decode(), []).append(orjson.loads(record.value))
    return by_run


async def lag(bootstrap: str, group: str) -> dict[TopicPartition, int]:
    """Return how far the group's committed offsets are behind the ends, where they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = Consumer(bootstrap_servers=bootstrap)
    await admin.start()
    await consumer.start()
    try:
        committed = await admin.list_consumer_group_offsets(group)
        ends = await consumer.end_offsets(list(committed))
        return {place: ends[place] - at.offset for place, at in committed.items() if ends[place] != at.offset}
    finally:
        await consumer.stop()
        await admin.close()


async def until_no_lag(bootstrap: str, group: str) -> None:
    """Ask until every committed offset equals its end; fail when that takes too long."""
    behind = await lag(bootstrap, group)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while behind:
                behind = await lag(bootstrap, group)
    except TimeoutError:
        raise AssertionError(f"{group} is behind: {behind}") from None
