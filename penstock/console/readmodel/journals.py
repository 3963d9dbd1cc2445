"""Folding journals: every record once, its text for the search, what calls took, and how the runs of replays stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka import ConsumerRecord

from penstock.console.readmodel.changes import Changes
from penstock.console.readmodel.sources import Source
from schemas import headers as names
from schemas.codec import CodecError, decode, dumps, loads
from schemas.headers import header
from schemas.records import (
    AttemptFailed,
    CallLost,
    EpochOpened,
    Failed,
    Finished,
    Record,
    Refused,
    Spent,
    Started,
    Succeeded,
)

_INSERT = """insert or ignore into journal
    (workflow, run_id, node, topic, partition, offset, at, type, ce_id, spent_at, cost_usd, tokens, value)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def take_journal(db: sqlite3.Connection, source: Source, records: Iterable[ConsumerRecord], changes: Changes) -> None:
    """Fold records of one partition of a journal; what somebody else wrote there has a dead letter of its own."""
    for record in records:
        try:
            found = decode(record.value or b"")
        except CodecError:
            continue
        run_id = getattr(found, "run_id", None)
        if run_id is None:
            continue
        changes.run(source.workflow, run_id)
        _take(db, source, record, found, run_id, changes)


def _take(
    db: sqlite3.Connection, source: Source, record: ConsumerRecord, found: Record, run_id: str, changes: Changes
) -> None:
    ended, spent = _spent_by(found)
    cursor = db.execute(
        _INSERT,
        (
            source.workflow,
            run_id,
            getattr(found, "node", None),
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            type(found).__name__,
            _identity(record, found),
            ended,
            spent.cost_usd if spent else None,
            spent.prompt_tokens + spent.completion_tokens if spent else None,
            record.value,
        ),
    )
    if not cursor.rowcount:
        return  # a crash had it written twice
    text = _text_of(found)
    if text is not None:
        db.execute("insert into texts (rowid, text) values (?, ?)", (cursor.lastrowid, text.casefold()))
    _follow_replay(db, source.workflow, found, changes)


def _identity(record: ConsumerRecord, found: Record) -> str:
    """Return what a repeat has in common with the first; two launches of one attempt are two calls, and both cost."""
    ce_id = header(record.headers, names.CE_ID) or f"{record.topic}/{record.partition}/{record.offset}"
    return f"{ce_id}#{getattr(found, 'launch', 0)}"


def _spent_by(found: Record) -> tuple[int | None, Spent | None]:
    """Return when what a record tells of was spent, and what: a `for_each` node tells it of all its items at its end."""
    match found:
        case Succeeded() | AttemptFailed() if "[" not in found.node:
            return found.finished_at, found.spent
        case Failed(spent=Spent()):
            return found.finished_at, found.spent
        case CallLost() if "[" not in found.node:
            return found.lost_at, found.charged
    return None, None


def _text_of(found: Record) -> str | None:
    match found:
        case Started():
            return "\n".join([found.run_id, *_words(loads(found.input))])
        case Succeeded():
            return "\n".join(_words(loads(found.output)))
        case AttemptFailed() | Failed():
            return f"{found.error.kind}\n{found.error.message}"
    return None


def _words(value: Any, name: str = "") -> Iterator[str]:
    """Yield the leaves of a JSON value as a person would write them: how text was escaped is nothing to look for."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _words(item, f"{key}: ")
    elif isinstance(value, list):
        for item in value:
            yield from _words(item, name)
    else:
        yield name + (value if isinstance(value, str) else dumps(value))


def _follow_replay(db: sqlite3.Connection, workflow: str, found: Record, changes: Changes) -> None:
    match found:
        case EpochOpened(replay=str() as replay) if replay:
            _put(db, workflow, replay, found.run_id, "opened", found.epoch)
        case Refused(replay=str() as replay) if replay:
            _put(db, workflow, replay, found.run_id, "status", "refused")
        case Finished():
            db.execute(
                "update replays set status = ? where workflow = ? and run_id = ? and opened = ?",
                (found.status, workflow, found.run_id, found.epoch),
            )
        case _:
            return
    changes.of(workflow, "replays")


def _put(db: sqlite3.Connection, workflow: str, replay: str, run_id: str, column: str, value: int | str) -> None:
    """Note how a run of a replay stands; the command for it, in another topic, may be read later."""
    of = (workflow, replay, run_id)
    db.execute("insert or ignore into replays (workflow, replay_id, run_id) values (?, ?, ?)", of)
    db.execute(
        f"update replays set {column} = ? where workflow = ? and replay_id = ? and run_id = ? and {column} is null",  # noqa: S608 - our own names
        (value, *of),
    )
