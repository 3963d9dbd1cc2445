"""Dead letters: filtered, by cause, one with what led to it, and those that are meant to go back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from penstock.client.dead_letter import DeadLetter
from penstock.client.dead_letter_details import Journals
from penstock.client.dead_letters import Selection, Status, with_status
from penstock.client.redrive_records import seen_by
from penstock.console.api import shapes
from penstock.console.api.requests import LetterGroupsAsked, LettersAsked
from penstock.console.queries.paging import key_of, page
from penstock.console.queries.structure import workflow_of
from penstock.console.readmodel.letters import Rows, letter_of
from streams.core.dead_letter import iso
from streams.errors import PenstockError

_KEY = ("at", "workflow", "partition", "offset")


class UnknownLetter(PenstockError):
    """No dead letter stands there.

    Operator action: GET /v1/dead-letters lists those that are there.
    """


def list_letters(db: sqlite3.Connection, asked: LettersAsked) -> shapes.Letters:
    """Return a page of dead letters, the newest first; raise `UnknownWorkflow` or `BadCursor`."""
    conditions, values = _conditions(db, asked)
    if asked.cursor is not None:
        conditions.append("(at, workflow, partition, offset) < (?, ?, ?, ?)")
        values += key_of(asked.cursor, (int, str, int, int))
    rows = db.execute(
        f"select * from letters where {' and '.join(conditions)} "  # noqa: S608 - conditions are ours
        "order by at desc, workflow desc, partition desc, offset desc limit ?",
        (*values, asked.limit + 1),
    ).fetchall()
    shown, cursor = page(rows, asked.limit, _KEY)
    return shapes.Letters(items=[shapes.Letter(**_summary(row)) for row in shown], next_cursor=cursor)


def _conditions(db: sqlite3.Connection, asked: LettersAsked) -> tuple[list[str], list[Any]]:
    if asked.workflow is not None:
        workflow_of(db, asked.workflow)
    conditions, values = ["true"], []
    for column in ("workflow", "node", "kind", "status"):
        if (value := getattr(asked, column)) is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if asked.run_id is not None:
        conditions.append("(run_id = ? or subject = ?)")
        values += [asked.run_id, asked.run_id]
    return conditions, values


def groups(db: sqlite3.Connection, asked: LetterGroupsAsked) -> shapes.LetterGroups:
    """Return dead letters by workflow, node and kind; raise `UnknownWorkflow`."""
    if asked.workflow is not None:
        workflow_of(db, asked.workflow)
    rows = db.execute(
        # The newest one's message; by its place where two are as new, so that a read model made anew says the same.
        "with ranked as (select *, row_number() over "
        "(partition by workflow, node, kind order by at desc, partition desc, offset desc) as place "
        "from letters where (? is null or workflow = ?) and (? is null or status = ?)) "
        "select workflow, node, kind, max(case when place = 1 then message end) as message, count(*) as n, "
        "sum(status = 'open') as open, min(at) as first, max(at) as last from ranked "
        "group by workflow, node, kind order by open desc, last desc, workflow, node, kind",
        (asked.workflow, asked.workflow, asked.status, asked.status),
    )
    return shapes.LetterGroups(
        items=[
            shapes.LetterGroup(
                workflow_id=row["workflow"],
                node=row["node"],
                kind=row["kind"],
                message=row["message"],
                count=row["n"],
                open=row["open"],
                first_at=iso(row["first"]),
                last_at=iso(row["last"]),
            )
            for row in rows
        ]
    )


def letter_detail(db: sqlite3.Connection, workflow: str, partition: int, offset: int) -> shapes.LetterDetail:
    """Return a dead letter with what led to it; raise `UnknownWorkflow` or `UnknownLetter`."""
    workflow_of(db, workflow)
    row = db.execute(
        "select * from letters where workflow = ? and partition = ? and offset = ?", (workflow, partition, offset)
    ).fetchone()
    if row is None:
        raise UnknownLetter(f"workflow {workflow!r} has no dead letter at {partition}/{offset}")
    letter = letter_of(row)
    journals = Journals([letter])
    asked = "select value from journal where workflow = ? and run_id = ? order by id"
    for record in db.execute(asked, (workflow, letter.run_id)):
        journals.take(record["value"])
    sees = seen_by(letter) if letter.redrivable and not letter.is_input else []
    return shapes.LetterDetail(**_summary(row), **journals.detail_of(letter), sees=sees)


def _summary(row: sqlite3.Row) -> dict[str, Any]:
    letter = letter_of(row)
    return {
        "workflow_id": row["workflow"],
        "place": letter.place,
        "run_id": letter.run_id,
        "node": letter.node,
        "epoch": letter.epoch,
        "kind": letter.kind,
        "message": row["message"],
        "attempt": letter.attempt,
        "at": iso(letter.timestamp),
        "status": row["status"],
        "redrivable": letter.redrivable,
        "is_input": letter.is_input,
    }


def selected(
    db: sqlite3.Connection, workflow: str, selection: Selection, places: Sequence[str] | None
) -> list[tuple[DeadLetter, Status]]:
    """Return the letters that are meant, the oldest first, with how they stand; raise `UnknownWorkflow`."""
    workflow_of(db, workflow)
    rows = db.execute("select * from letters where workflow = ? order by at, partition, offset", (workflow,))
    meant = [row for row in rows if places is None or f"{row['partition']}/{row['offset']}" in places]
    told = zip(meant, with_status([letter_of(row) for row in meant], Rows(db, workflow)), strict=True)
    found = [(letter, _status(row, status)) for row, (letter, status) in told]
    return [(letter, status) for letter, status in found if selection.has(letter)]


def _status(row: sqlite3.Row, status: Status) -> Status:
    return "redriven" if row["replaced"] else status
