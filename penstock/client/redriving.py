"""Sending dead letters back, and hearing what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from penstock.client import reading
from penstock.client.dead_letter import DeadLetter, source_of
from penstock.client.redrive_records import Edit, redrive_of
from penstock.client.workflows import Workflow
from schemas import headers as names
from schemas.codec import CodecError, decode
from schemas.headers import header
from schemas.records import EpochOpened, Position, Refused
from streams.core.transition import Send
from streams.engine.partitions import partition_of
from topology.naming import control_topic, dead_letter_topic, journal_topic, run_topic

Outcome = dict[str, Any]
"""A line of what `dead-letter redrive` prints."""

WINDOW = 500
"""Records under way at once when no rate is asked for."""
POLL_MS = 200


@dataclass(frozen=True, slots=True)
class How:
    """How letters are sent back: `rate` a second at most, answers awaited for `within_s` seconds, None: not at all."""

    requested_by: str
    edit: Edit | None = None
    rate: float | None = None
    within_s: float | None = 30


def outcome_of(letter: DeadLetter, status: str, **more: Any) -> Outcome:
    """Return what became of a letter."""
    return {"run_id": letter.run_id, "node": letter.node, "epoch": letter.epoch, "status": status, **more}


async def redrive(
    reader: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    workflow: Workflow,
    topics: dict[str, int],
    letters: Sequence[DeadLetter],
    how: How,
) -> AsyncIterator[Outcome]:
    """Send `letters` back and yield what became of each, in no order; `unanswered` if nobody said so in time."""
    if how.within_s is not None:
        await _listen(reader, workflow, topics, letters)
    asked: dict[Position, DeadLetter] = {}
    async for letter, at in _publish(producer, workflow, letters, how):
        if not letter.is_input and how.within_s is not None:
            asked[at] = letter
            continue
        status = "published" if letter.is_input else "sent"
        yield outcome_of(letter, status, topic=at.topic, partition=at.partition, offset=at.offset)
    async for outcome in _answers(reader, workflow, asked, how.within_s or 0):
        yield outcome


async def _publish(
    producer: AIOKafkaProducer, workflow: Workflow, letters: Sequence[DeadLetter], how: How
) -> AsyncIterator[tuple[DeadLetter, Position]]:
    """Publish what sends each letter back; yield where it stands, acknowledged."""
    clock, window = asyncio.get_running_loop(), WINDOW if how.rate is None else 1
    began = clock.time()
    for first in range(0, len(letters), window):
        if how.rate is not None:
            await asyncio.sleep(began + first / how.rate - clock.time())
        some = letters[first : first + window]
        records = [redrive_of(workflow, letter, how.edit, how.requested_by) for letter in some]
        sent = [await _send(producer, record) for record in records]
        for letter, record, stands in zip(some, records, await asyncio.gather(*sent), strict=True):
            yield letter, Position(record.topic, stands.partition, stands.offset)


async def _send(producer: AIOKafkaProducer, record: Send) -> Any:
    return await producer.send(record.topic, record.value, key=record.key, headers=list(record.headers))


async def _listen(
    reader: AIOKafkaConsumer, workflow: Workflow, topics: dict[str, int], letters: Sequence[DeadLetter]
) -> None:
    """Go to the ends of where answers will stand, before anything is asked."""
    dead = dead_letter_topic(workflow.id)
    places = set(reading.places_of(dead, topics[dead]))
    for letter in letters:
        if letter.node is not None and letter.run_id is not None:
            partition = partition_of(letter.run_id.encode(), workflow.partitions)
            answering = [run_topic(workflow.id)]
            answering += [journal_topic(workflow.id, letter.node)] if letter.node in workflow.nodes else []
            places |= {TopicPartition(topic, partition) for topic in answering}
    await reading.begin(reader, sorted(places), "latest")


async def _answers(
    reader: AIOKafkaConsumer, workflow: Workflow, asked: dict[Position, DeadLetter], within_s: float
) -> AsyncIterator[Outcome]:
    clock = asyncio.get_running_loop()
    last = clock.time() + within_s
    while asked and clock.time() < last:
        for records in (await reader.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                at, answer = _answer_in(record, control_topic(workflow.id))
                if answer is not None and at is not None and (letter := asked.pop(at, None)):
                    yield outcome_of(letter, **answer)
    for letter in asked.values():
        yield outcome_of(letter, "unanswered")


def _answer_in(record: ConsumerRecord, control: str) -> tuple[Position | None, dict[str, Any] | None]:
    """Return which command a record answers, and how; intake answers one that it cannot use with a dead letter."""
    at = source_of(tuple(record.headers))
    if at is not None and at.topic == control:
        return at, {"status": "refused", "reason": header(record.headers, names.ERROR + "message")}
    try:
        found = decode(record.value or b"")
    except CodecError:
        return None, None
    match found:
        case EpochOpened():
            return found.source, {"status": "redriven", "new_epoch": found.epoch, "reopened": list(found.reopen)}
        case Refused():
            return found.source, {"status": "refused", "reason": found.reason}
    return None, None
