"""What the journals add to a dead letter: its attempts, what the model said, and the epochs opened since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from penstock.client import reading
from penstock.client.dead_letter import DeadLetter
from penstock.client.redrive_records import content_of
from penstock.client.workflows import Workflow
from schemas.codec import CodecError, decode, loads
from schemas.records import AttemptFailed, EpochOpened
from streams.core.dead_letter import iso
from streams.engine.partitions import partition_of
from topology.naming import journal_topic, run_topic

Failure = tuple[str | None, str | None, int | None]
"""Run, node and epoch."""


class Journals:
    """The records of the journals that concern some dead letters; each is taken once, however often a crash repeated it."""

    def __init__(self, letters: Sequence[DeadLetter]) -> None:
        self._attempts: dict[Failure, dict[int, AttemptFailed]] = {_failure(letter): {} for letter in letters}
        self._opened: defaultdict[str, dict[int, EpochOpened]] = defaultdict(dict)
        self._runs = {letter.run_id for letter in letters}

    def take(self, value: bytes | None) -> None:
        """Take the next record of a journal."""
        try:
            entry = decode(value or b"")
        except CodecError:
            return  # somebody else's: its own dead letter says so
        if isinstance(entry, AttemptFailed) and (entry.run_id, entry.node, entry.epoch) in self._attempts:
            self._attempts[entry.run_id, entry.node, entry.epoch].setdefault(entry.seq, entry)
        elif isinstance(entry, EpochOpened) and entry.run_id in self._runs:
            self._opened[entry.run_id].setdefault(entry.epoch, entry)

    def detail_of(self, letter: DeadLetter) -> dict[str, Any]:
        """Return what `dead-letter show` shows besides the summary. `raw` is the model's answer at the last attempt."""
        tried = [record for _, record in sorted(self._attempts.get(_failure(letter), {}).items())]
        opened = sorted(self._opened[letter.run_id or ""].items()) if letter.epoch is not None else []
        return {
            "key": None if letter.key is None else letter.key.decode(errors="replace"),
            "value": content_of(letter.value),
            "headers": {name: (text or b"").decode(errors="replace") for name, text in letter.headers},
            "traceback": letter.cause("traceback"),
            "attempts": [_attempt(record) for record in tried],
            "raw": tried[-1].raw if tried else None,
            "redrives": [_redrive(record) for epoch, record in opened if epoch > (letter.epoch or 0)],
        }


async def journals(reader: AIOKafkaConsumer, workflow: Workflow, letters: Sequence[DeadLetter]) -> Journals:
    """Read the partitions in which the letters' runs are."""
    places = set()
    for letter in letters:
        if letter.node in workflow.nodes and letter.run_id and letter.node:
            partition = partition_of(letter.run_id.encode(), workflow.partitions)
            topics = (run_topic(workflow.id), journal_topic(workflow.id, letter.node))
            places |= {TopicPartition(topic, partition) for topic in topics}
    found = Journals(letters)
    async for record in reading.to_end(reader, sorted(places)):
        found.take(record.value)
    return found


def _failure(letter: DeadLetter) -> Failure:
    return letter.run_id, letter.node, letter.epoch


def _attempt(record: AttemptFailed) -> dict[str, Any]:
    return {
        "attempt": record.attempt,
        "model": record.model,
        "error": {"kind": record.error.kind, "message": record.error.message},
        "started_at": iso(record.started_at),
        "finished_at": iso(record.finished_at),
        "raw": record.raw,
        "prompt_hash": record.prompt_hash,
    }


def _redrive(record: EpochOpened) -> dict[str, Any]:
    return {
        "epoch": record.epoch,
        "node": record.node,
        "reopened": list(record.reopen),
        "requested_by": record.requested_by,
        "requested_at": iso(record.requested_at),
        "opened_at": iso(record.opened_at),
        "edit": None if record.edit is None else loads(record.edit),
        "workflow_version": record.workflow_version,
    }
