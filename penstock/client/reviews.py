"""Reviews: which wait, what is shown, and deciding on one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from penstock.client import publishing, reading
from penstock.client.dead_letter import source_of
from penstock.client.errors import NoReview
from penstock.client.look import Look
from penstock.client.runs import RunState, fold
from penstock.client.workflows import Workflow
from schemas import headers as names
from schemas.codec import CodecError, decode, loads
from schemas.headers import header
from schemas.records import Decided, NodeRow, Position, Refused, ReviewRequested
from streams.core.dead_letter import iso
from streams.engine.partitions import partition_of
from streams.errors import UndecodableRecord
from topology.naming import control_topic, dead_letter_topic, journal_topic

POLL_MS = 200
DECISIONS = {"approve": "approved", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Review:
    """A review that waits, and the request it waits for the answer to."""

    workflow: str
    request: ReviewRequested

    def summary(self) -> dict[str, Any]:
        """Return a line of `review list`."""
        asked = self.request
        return {
            "run_id": asked.run_id,
            "workflow_id": self.workflow,
            "node": asked.node,
            "epoch": asked.epoch,
            "reason": asked.reason,
            "assignees": list(asked.assignees),
            "requested_at": iso(asked.requested_at),
            "due_at": iso(asked.due_at),
            "hash": asked.hash,
        }

    def detail(self) -> dict[str, Any]:
        """Return what `review show` prints: what the reviewer decides on, and where it comes from."""
        made_by = {
            name: {"model": by.model, "prompt_hash": by.prompt_hash, "response_hash": by.response_hash}
            for name, by in self.request.made_by.items()
            if by.model is not None
        }
        escalation = {"escalation": self.request.escalation} if self.request.escalation else {}
        return {**self.summary(), **escalation, "made_by": made_by, "shown": loads(self.request.shown)}


async def waiting(reader: AIOKafkaConsumer, look: Look) -> list[Review]:
    """Return every review that waits, of what is looked at, the one due first at the beginning."""
    found = await look.each(partial(_waiting_in, reader))
    return sorted(found, key=lambda review: (review.request.due_at, review.request.run_id))


async def _waiting_in(reader: AIOKafkaConsumer, workflow: Workflow) -> list[Review]:
    found: list[Review] = []
    for node, changelog in workflow.changelogs().items():
        places = reading.places_of(changelog, workflow.partitions)
        for place, rows in (await fold(reader, places)).items():
            for row in rows.values():
                if (at := _asked_at(row)) is not None:
                    journal = TopicPartition(journal_topic(workflow.id, node), place.partition)
                    found += await _request(reader, workflow, journal, at)
    return found


async def review_of(reader: AIOKafkaConsumer, state: RunState, node: str) -> Review:
    """Return the review that `node` of a run waits for; raise `NoReview` if it waits for none."""
    row, workflow = state.nodes.get(node), state.workflow
    if node not in workflow.nodes:
        raise NoReview(f"workflow {workflow.id!r} has no node {node!r}; it has {', '.join(sorted(workflow.nodes))}")
    at = _asked_at(row)
    if at is not None:
        partition = partition_of(state.row.run_id.encode(), workflow.partitions)
        for review in await _request(reader, workflow, TopicPartition(journal_topic(workflow.id, node), partition), at):
            return review
    stands = row.status if row is not None else "pending"
    raise NoReview(f"run {state.row.run_id!r}, node {node!r}: no review waits (the node is {stands})")


async def decide(
    reader: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    workflow: Workflow,
    topics: Mapping[str, int],
    command: dict[str, Any],
    within_s: float,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """Publish a decision, in the run's trace, and return what became of it: approved, rejected, refused (and why), or unanswered."""
    run_id, node = command["run_id"], command["node"]
    journal = TopicPartition(journal_topic(workflow.id, node), partition_of(run_id.encode(), workflow.partitions))
    dead = dead_letter_topic(workflow.id)
    await reading.begin(reader, [journal, *reading.places_of(dead, topics.get(dead, 0))], "latest")
    at = await publishing.command(producer, workflow.id, run_id, command, traceparent)
    said = {"run_id": run_id, "workflow_id": workflow.id, "node": node}
    clock = asyncio.get_running_loop()
    last = clock.time() + within_s
    while clock.time() < last:
        for records in (await reader.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                if (answer := _answer(record, at, control_topic(workflow.id))) is not None:
                    return {**said, **answer}
    return {**said, "status": "unanswered"}


def _answer(record: Any, at: Position, control: str) -> dict[str, Any] | None:
    source = source_of(tuple(record.headers))
    if source is not None and source.topic == control:  # a dead letter: intake could not use the command
        return (
            {"status": "refused", "reason": header(record.headers, names.ERROR + "message")} if source == at else None
        )
    try:
        found = decode(record.value or b"")
    except CodecError:
        return None
    match found:
        case Decided() if found.source == at:
            return {"status": DECISIONS[found.decision], "epoch": found.epoch, "hash": found.hash}
        case Refused() if found.source == at:
            return {"status": "refused", "reason": found.reason}
    return None


def _asked_at(row: object) -> int | None:
    """Return where in its journal the request stands that a row waits for the answer to."""
    if isinstance(row, NodeRow) and row.status == "waiting" and not row.closing and row.review is not None:
        return row.review.requested_at
    return None


async def _request(reader: AIOKafkaConsumer, workflow: Workflow, journal: TopicPartition, offset: int) -> list[Review]:
    reader.assign([journal])
    reader.seek(journal, offset)
    for records in (await reader.getmany(timeout_ms=reading.SILENT_MS, max_records=1)).values():
        for record in records:
            try:
                found = decode(record.value or b"")
            except CodecError as error:
                raise UndecodableRecord(f"{record.topic}/{record.partition}/{record.offset}: {error}") from error
            if isinstance(found, ReviewRequested) and record.offset == offset:
                return [Review(workflow.id, found)]
    return []
