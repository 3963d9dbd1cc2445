"""The versions of a workflow, recorded whole in the compacted topic `penstock.plans` before a worker of theirs joins (PROTOCOL.md 16).

Keyed by workflow and plan hash; the record written last is of the version that new runs and epochs begin with. So whoever reads a
run's plan hash in a journal finds the plan, and a worker that joins makes its version the current one: the rebalance it causes has all read on.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from schemas.codec import dumps, loads
from streams.engine.clients import producer_of, reader_of, start, stop
from streams.engine.config import EngineConfig
from streams.engine.restore import read_to
from streams.engine.topics import ensure_shared
from streams.errors import StructureChanged
from topology.compile import plan_as_json
from topology.naming import PLANS, plan_key
from topology.plan import WorkflowPlan
from topology.versions import UnreadablePlan, differences, plan_from_json, with_handlers_of

log = structlog.get_logger(__name__)

PLACE = TopicPartition(PLANS, 0)


class RecordedPlans:
    """What the topic says of one workflow, as far as it was read."""

    def __init__(self, own: WorkflowPlan) -> None:
        self._own = own
        self._next = 0
        self._found: dict[str, tuple[int, WorkflowPlan]] = {}

    @property
    def plans(self) -> list[WorkflowPlan]:
        """The versions with this worker's structure, by its own handlers; the current one is the last."""
        of_one = [plan for _, plan in sorted(self._found.values(), key=lambda found: found[0])]
        return [with_handlers_of(plan, self._own) for plan in of_one if not differences(self._own, plan)]

    @property
    def foreign(self) -> list[WorkflowPlan]:
        """The versions with another structure."""
        return [plan for _, plan in self._found.values() if differences(self._own, plan)]

    async def read_on(self, reader: AIOKafkaConsumer) -> bool:
        """Read to the end; return whether there was anything new."""
        end = (await reader.end_offsets([PLACE]))[PLACE]
        if end <= self._next:
            return False
        reader.assign([PLACE])
        reader.seek(PLACE, self._next)
        await read_to(reader, {PLACE: end}, self._take)
        self._next = end
        return True

    def _take(self, record: ConsumerRecord) -> None:
        key = (record.key or b"").decode(errors="replace")
        if not key.startswith(plan_key(self._own.id, "")):
            return
        self._found.pop(key, None)
        if record.value is None:
            return
        try:
            self._found[key] = (record.offset, plan_from_json(loads(record.value)["plan"]))
        except (ValueError, KeyError, TypeError, UnreadablePlan) as error:
            log.warning(
                "a recorded version cannot be read: its runs go on with the current one", version=key, reason=str(error)
            )


async def register(plan: WorkflowPlan, config: EngineConfig) -> RecordedPlans:
    """Record `plan` as the workflow's current version; return what is recorded.

    Raises:
        StructureChanged: runs of a version with other nodes, edges or schemas are in the workflow's topics.
    """
    topics = await ensure_shared(PLANS, config)
    recorded = RecordedPlans(plan)
    async with _clients(config) as (reader, producer):
        await recorded.read_on(reader)
        if recorded.foreign and plan.topic("run") in topics:
            raise StructureChanged(_refusal(recorded.foreign[-1], plan))
        for gone in recorded.foreign:  # their topics were deleted
            await _put(producer, gone, None)
        if not recorded.plans or recorded.plans[-1].plan_hash != plan.plan_hash:
            await _put(producer, plan, _record_of(plan))
        await recorded.read_on(reader)
    return recorded


async def forget(plan: WorkflowPlan, config: EngineConfig) -> None:
    """Delete every version of a workflow whose topics are deleted."""
    await ensure_shared(PLANS, config)
    recorded = RecordedPlans(plan)
    async with _clients(config) as (reader, producer):
        await recorded.read_on(reader)
        for gone in (*recorded.plans, *recorded.foreign):
            await _put(producer, gone, None)


@asynccontextmanager
async def _clients(config: EngineConfig) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaProducer]]:
    reader, producer = reader_of(config), producer_of(config)
    async with AsyncExitStack() as stack:
        for client in (reader, producer):
            await start(client, config.bootstrap)
            stack.push_async_callback(stop, client)
        yield reader, producer


def _record_of(plan: WorkflowPlan) -> dict[str, Any]:
    return {
        "workflow": plan.id,
        "version": plan.version,
        "plan_hash": plan.plan_hash,
        "recorded_at": time.time_ns() // 1_000_000,
        "plan": plan_as_json(plan),
    }


async def _put(producer: AIOKafkaProducer, plan: WorkflowPlan, value: dict[str, Any] | None) -> None:
    body = None if value is None else dumps(value).encode()
    await producer.send_and_wait(PLANS, body, key=plan_key(plan.id, plan.plan_hash).encode(), partition=PLACE.partition)


def _refusal(old: WorkflowPlan, new: WorkflowPlan) -> str:
    return (
        f"workflow {new.id!r}: version {new.version} has another structure than version {old.version}, whose runs are in its "
        f"topics: {'; '.join(differences(old, new))}. Nodes, edges and schemas are fixed per id: give the workflow a new id "
        "(`penstock replay --shadow FILE` compares the two), or take the change back. On the embedded Kafka "
        "`penstock run FILE --fresh` deletes what is there and starts over"
    )
