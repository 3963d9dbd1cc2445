"""Folding dead letters, and how each stands: open, or sent back."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from penstock.client.dead_letter import DeadLetter, id_of_place, letter_in
from penstock.client.dead_letters import REDRIVEN_FROM, with_status
from penstock.console.readmodel.changes import Changes
from penstock.console.readmodel.sources import Source
from schemas import headers as names
from schemas.codec import decode, dumps, loads
from schemas.headers import header
from schemas.records import RunRow
from topology.naming import dead_letter_topic


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as a consumer gives it, out of the file."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def take_letters(db: sqlite3.Connection, source: Source, records: Iterable[ConsumerRecord], changes: Changes) -> None:
    """Fold records of one partition of a dead-letter topic, each once."""
    for record in records:
        letter = letter_in(record, source.workflow)
        ce_id = header(letter.headers, names.CE_ID) or f"{record.topic}/{letter.place}"
        db.execute(
            "insert or ignore into letters values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'open', ?, ?, ?)",
            (
                source.workflow,
                record.partition,
                record.offset,
                record.timestamp,
                ce_id,
                letter.run_id,
                id_of_place(letter.headers, letter.source) if letter.is_input and letter.source else None,
                letter.subject,
                letter.node,
                letter.kind,
                letter.cause("message") or "",
                (replaced := header(letter.headers, REDRIVEN_FROM)),
                record.key,
                record.value,
                dumps([(name, base64.b64encode(text or b"").decode()) for name, text in letter.headers]),
            ),
        )
        if replaced is not None:
            place = replaced.split("/")
            db.execute(
                "update letters set replaced = 1, status = 'redriven' where workflow = ? and partition = ? and offset = ?",
                (source.workflow, *map(int, place))
                if len(place) == 2 and all(p.isdigit() for p in place)
                else ("", 0, 0),
            )
        changes.of(source.workflow, "dead_letters")
        if letter.run_id is not None:
            changes.runs.add((source.workflow, letter.run_id))


def refresh(db: sqlite3.Connection, runs: Iterable[tuple[str, str]], changes: Changes) -> None:
    """Say anew how the letters of these runs stand, now that their rows changed."""
    for workflow, run_id in runs:
        found = db.execute(
            "select * from letters where workflow = ? and replaced = 0 and (run_id = ? or other_run_id = ?)",
            (workflow, run_id, run_id),
        ).fetchall()
        letters = [letter_of(row) for row in found]
        for row, (_, status) in zip(found, with_status(letters, Rows(db, workflow)), strict=True):
            if status != row["status"]:
                of = (status, workflow, row["partition"], row["offset"])
                db.execute("update letters set status = ? where workflow = ? and partition = ? and offset = ?", of)
                changes.of(workflow, "dead_letters")


def letter_of(row: sqlite3.Row) -> DeadLetter:
    """Return the dead letter that a row of the read model keeps."""
    headers = tuple((name, base64.b64decode(text)) for name, text in loads(row["headers"]))
    topic = dead_letter_topic(row["workflow"])
    record = StoredRecord(topic, row["partition"], row["offset"], row["at"], row["key"], row["value"], headers)
    return letter_in(record, row["workflow"])


class Rows(Mapping[str, RunRow]):
    """The rows of a workflow's runs by id, each looked up when it is asked for."""

    def __init__(self, db: sqlite3.Connection, workflow: str) -> None:
        self._db = db
        self._workflow = workflow

    def __getitem__(self, run_id: str) -> RunRow:
        found = self._db.execute(
            "select value from runs where workflow = ? and run_id = ?", (self._workflow, run_id)
        ).fetchone()
        if found is None:
            raise KeyError(run_id)
        row: Any = decode(found["value"])
        return row  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        of = (self._workflow,)
        return (row["run_id"] for row in self._db.execute("select run_id from runs where workflow = ?", of))

    def __len__(self) -> int:
        of = (self._workflow,)
        return int(self._db.execute("select count(*) from runs where workflow = ?", of).fetchone()[0])
