"""The versions of a workflow, recorded whole in the compacted topic `penstock.plans` before a worker of theirs joins (PROTOCOL.md 16).

Keyed by workflow and plan hash; the record written last is of the version that new runs and epochs begin with. So whoever reads a
run's plan hash in a journal finds the plan, and a worker that joins makes its version the current one: the rebalance it causes has all read on.

Beside the versions stand two notes per workflow: the partition count its topics were made with, and a move to another one while it is under way.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from schemas.codec import dumps, loads
from schemas.headers import header
from schemas.sealed import UNSEALED, is_sealed
from streams.engine.clients import producer_of, reader_of, start, stop
from streams.engine.config import EngineConfig
from streams.engine.restore import read_to
from streams.engine.topics import ensure_shared
from streams.errors import KeyMissing, MoveUnderWay, StructureChanged
from streams.sealing.keyring import key_missing
from topology.compile import plan_as_json
from topology.naming import move_key, partitions_key, plan_key, plans_topic
from topology.plan import WorkflowPlan
from topology.versions import UnreadablePlan, differences, plan_from_json, with_handlers_of

log = structlog.get_logger(__name__)


def place() -> TopicPartition:
    """Return where all of them stand."""
    return TopicPartition(plans_topic(), 0)


class RecordedPlans:
    """What the topic says of one workflow, as far as it was read."""

    def __init__(self, own: WorkflowPlan) -> None:
        self._own = own
        self._next = 0
        self._notes = Notes(own.id)
        self._found: dict[str, tuple[int, WorkflowPlan]] = {}

    @property
    def partitions(self) -> int | None:
        """The partition count that the workflow's topics were made with; None if nobody has recorded it."""
        return self._notes.partitions

    @property
    def move(self) -> Mapping[str, Any] | None:
        """The move to another partition count that is under way."""
        return self._notes.move

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
        at = place()
        end = (await reader.end_offsets([at]))[at]
        if end <= self._next:
            return False
        reader.assign([at])
        reader.seek(at, self._next)
        await read_to(reader, {at: end}, self._take)
        self._next = end
        return True

    def _take(self, record: ConsumerRecord) -> None:
        key = (record.key or b"").decode(errors="replace")
        self._notes.take(record)
        if not key.startswith(plan_key(self._own.id, "")):
            return
        self._found.pop(key, None)
        if record.value is None:
            return
        try:
            self._found[key] = (record.offset, plan_from_json(loads(record.value)["plan"]))
        except (ValueError, KeyError, TypeError, UnreadablePlan) as error:
            _refuse_if_unread(record)
            log.warning(
                "a recorded version cannot be read: its runs go on with the current one", version=key, reason=str(error)
            )


def _refuse_if_unread(record: ConsumerRecord) -> None:
    """Raise if a version is encrypted with a key that this process lacks: its runs must not go on with another version."""
    if not is_sealed(record.value) or header(record.headers, UNSEALED) == "altered":
        return
    where = f"{record.topic}/{record.partition}/{record.offset}"
    why = header(record.headers, UNSEALED)
    raise key_missing(record.value, where, []) if why is None else KeyMissing(why)


class Notes:
    """What stands beside a workflow's versions, as far as it was read."""

    def __init__(self, workflow: str) -> None:
        self._partitions_key, self._move_key = partitions_key(workflow), move_key(workflow)
        self.partitions: int | None = None
        self.move: Mapping[str, Any] | None = None

    def take(self, record: ConsumerRecord) -> None:
        """Take a record."""
        key = (record.key or b"").decode(errors="replace")
        if key == self._partitions_key:
            self.partitions = None if record.value is None else _noted(record)["partitions"]
        elif key == self._move_key:
            self.move = None if record.value is None else _noted(record)


def _noted(record: ConsumerRecord) -> Any:
    _refuse_if_unread(record)
    return loads(record.value)


async def register(plan: WorkflowPlan, config: EngineConfig) -> RecordedPlans:
    """Record `plan` as the workflow's current version; return what is recorded.

    Raises:
        StructureChanged: runs of a version with other nodes, edges or schemas are in the workflow's topics.
        MoveUnderWay: the workflow's topics are being made anew.
    """
    topics = await ensure_shared(plans_topic(), config)
    recorded = RecordedPlans(plan)
    async with _clients(config) as (reader, producer):
        await recorded.read_on(reader)
        if recorded.move is not None:
            raise MoveUnderWay(_being_moved(plan.id, recorded.move))
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
    await ensure_shared(plans_topic(), config)
    recorded = RecordedPlans(plan)
    async with _clients(config) as (reader, producer):
        await recorded.read_on(reader)
        for gone in (*recorded.plans, *recorded.foreign):
            await _put(producer, gone, None)
        for key in (partitions_key(plan.id), move_key(plan.id)):
            await note(producer, key, None)


async def record_partitions(workflow: str, count: int, config: EngineConfig) -> None:
    """Record the partition count of the workflow's topics: should somebody alter it, runs would be looked for in the wrong place."""
    async with _clients(config) as (_, producer):
        await note(producer, partitions_key(workflow), {"workflow": workflow, "partitions": count})


async def note(producer: AIOKafkaProducer, key: str, value: Mapping[str, Any] | None) -> None:
    """Write a note, or take it back."""
    body = None if value is None else dumps(value).encode()
    await producer.send_and_wait(plans_topic(), body, key=key.encode(), partition=0)


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
    await note(producer, plan_key(plan.id, plan.plan_hash), value)


def _being_moved(workflow: str, move: Mapping[str, Any]) -> str:
    return (
        f"workflow {workflow!r} is being moved to {move['partitions']} partitions: its topics are not whole. Wait for "
        f"`penstock repartition`, or, if it was interrupted, finish it: `penstock repartition {workflow} "
        f"--partitions {move['partitions']}`"
    )


def _refusal(old: WorkflowPlan, new: WorkflowPlan) -> str:
    return (
        f"workflow {new.id!r}: version {new.version} has another structure than version {old.version}, whose runs are in its "
        f"topics: {'; '.join(differences(old, new))}. Nodes, edges and schemas are fixed per id: give the workflow a new id "
        "(`penstock replay --shadow FILE` compares the two), or take the change back. On the embedded Kafka "
        "`penstock run FILE --fresh` deletes what is there and starts over"
    )
