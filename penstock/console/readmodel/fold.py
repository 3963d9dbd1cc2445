"""Folding a batch: everything it says and the places up to which it was read, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from penstock.client.results import result_in
from penstock.console.readmodel.changes import Changes
from penstock.console.readmodel.journals import take_journal
from penstock.console.readmodel.letters import refresh, take_letters
from penstock.console.readmodel.rows import take_rows
from penstock.console.readmodel.sources import Source
from penstock.console.traces import trace_of
from schemas.codec import loads
from streams.errors import Unreadable

log = structlog.get_logger(__name__)

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]

_MOVE = """insert into places values (?, ?, ?, ?, ?, ?) on conflict do update set
    next_offset = excluded.next_offset, last_timestamp = excluded.last_timestamp, owner_epoch = excluded.owner_epoch"""


class OtherTopic(Exception):
    """A topic is not the one that was folded: it was deleted and made anew."""

    def __init__(self, workflow: str) -> None:
        super().__init__(workflow)
        self.workflow = workflow


class CannotFold(Unreadable):
    """Records of a topic that the fold broke at: the workflow's, or a defect of ours; either way no other workflow's.

    Operator action: the log has the traceback; delete the records, or report it.
    """

    def __init__(self, place: TopicPartition, error: Exception) -> None:
        super().__init__(f"{place.topic}/{place.partition} cannot be folded: {type(error).__name__}: {error}")
        self.topic = place.topic


def fold(db: sqlite3.Connection, sources: Mapping[str, Source], batch: Batch) -> Changes:
    """Fold a batch and return what it changed.

    Raises:
        OtherTopic: offsets went back.
        CannotFold: what stands in a topic broke it. Nothing is changed then, either.
    """
    changes = Changes()
    with db:
        for place, records in batch.items():
            if records:
                _take_or_say(db, sources[place.topic], place, records, changes)
        refresh(db, list(changes.runs), changes)
        if changes:
            db.execute("update meta set value = value + 1 where name = 'version'")
        changes.version = db.execute("select value from meta where name = 'version'").fetchone()[0]
    return changes


def _take_or_say(
    db: sqlite3.Connection,
    source: Source,
    place: TopicPartition,
    records: Sequence[ConsumerRecord],
    changes: Changes,
) -> None:
    try:
        _take(db, source, place, records, changes)
    except (OtherTopic, sqlite3.OperationalError):  # the second is the file's: a full disk is no workflow's fault
        raise
    except Exception as error:
        log.error("records of a topic broke the fold", topic=place.topic, traceback=trace_of(error))
        raise CannotFold(place, error) from error


def _take(
    db: sqlite3.Connection,
    source: Source,
    place: TopicPartition,
    records: Sequence[ConsumerRecord],
    changes: Changes,
) -> None:
    known = db.execute("select * from places where topic = ? and partition = ?", tuple(place)).fetchone()
    if known is not None and records[0].offset < known["next_offset"]:
        raise OtherTopic(source.workflow)
    owner_epoch = 0 if known is None else known["owner_epoch"]
    match source.kind:
        case "run rows" | "node rows" | "other rows":
            owner_epoch = take_rows(db, source, records, owner_epoch, changes)
        case "journal":
            take_journal(db, source, records, changes)
        case "letters":
            take_letters(db, source, records, changes)
        case "results":
            _take_results(db, source, records, changes)
        case "control":
            _take_commands(db, source, records, changes)
        case "plans":
            _take_plans(db, records, changes)
    last = records[-1]
    db.execute(_MOVE, (*place, source.workflow, last.offset + 1, last.timestamp, owner_epoch))


def _take_plans(db: sqlite3.Connection, records: Sequence[ConsumerRecord], changes: Changes) -> None:
    """Keep the versions of workflows as they were recorded; whether one can be read shows when it is asked for."""
    for record in records:
        workflow, _, plan_hash = (record.key or b"").decode(errors="replace").rpartition("/")
        if not workflow:
            continue  # a note of the engine's
        db.execute("delete from plans where workflow = ? and plan_hash = ?", (workflow, plan_hash))
        if record.value is not None:
            text = record.value.decode(errors="replace")
            db.execute("insert into plans values (?, ?, ?, ?)", (workflow, plan_hash, record.offset, text))
        changes.of(workflow, "workflows")


def _take_results(db: sqlite3.Connection, source: Source, records: Sequence[ConsumerRecord], changes: Changes) -> None:
    for record in records:
        result = result_in(record)
        if result is None or not isinstance(result.get("run_id"), str) or not isinstance(result.get("epoch"), int):
            continue
        values = (source.workflow, result["run_id"], result["epoch"], record.value.decode(errors="replace"))
        db.execute("insert or ignore into results values (?, ?, ?, ?)", values)
        changes.run(source.workflow, result["run_id"])


def _take_commands(db: sqlite3.Connection, source: Source, records: Sequence[ConsumerRecord], changes: Changes) -> None:
    """Note the commands of replays; what became of any command stands in the journals."""
    for record in records:
        try:
            said = loads(record.value or b"")
        except ValueError:
            continue
        if not isinstance(said, dict) or said.get("type") != "replay" or not isinstance(said.get("replay"), str):
            continue
        run_id = said.get("run_id")
        if not isinstance(run_id, str):
            continue
        of = (source.workflow, said["replay"], run_id)
        db.execute("insert or ignore into replays (workflow, replay_id, run_id) values (?, ?, ?)", of)
        began, by, node = said.get("began_at"), said.get("requested_by"), said.get("node")
        db.execute(
            "update replays set sent = 1, began_at = ?, requested_by = ?, node = ?, reuse = ? "
            "where workflow = ? and replay_id = ? and run_id = ?",
            (
                began if isinstance(began, int) else record.timestamp,
                by if isinstance(by, str) else None,
                node if isinstance(node, str) else None,
                said.get("reuse") is True,
                *of,
            ),
        )
        changes.of(source.workflow, "replays")
