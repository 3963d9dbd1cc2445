"""Folding changelogs: rows of runs, of their nodes, ledgers and timers, as their owners have them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka import ConsumerRecord

from penstock.client.views import duration_of, spent_of, status_of
from penstock.console.readmodel.changes import Changes
from penstock.console.readmodel.sources import Source
from schemas.codec import encode
from schemas.records import LedgerRow, NodeRow, Row, RunRow, TimerRow
from streams.core.changelog import ChangelogFold
from streams.engine.restore import take
from streams.errors import UndecodableRecord
from topology.plan import INPUT

log = structlog.get_logger(__name__)


def take_rows(
    db: sqlite3.Connection, source: Source, records: Iterable[ConsumerRecord], owner_epoch: int, changes: Changes
) -> int:
    """Fold records of one partition of a changelog; return the highest owner epoch seen."""
    fold = ChangelogFold(highest=owner_epoch)
    for record in records:
        try:
            take(fold, record)
        except UndecodableRecord as error:  # it stops that workflow's workers; the others are shown all the same
            log.warning("a row that cannot be read is left out", workflow=source.workflow, reason=str(error))
    for key in fold.deleted:
        _drop(db, source, key, changes)
    for key, row in fold.rows.items():
        _put(db, source, key, row, changes)
    return fold.highest


def _put(db: sqlite3.Connection, source: Source, key: str, row: Row, changes: Changes) -> None:
    match row:
        case RunRow() if row.source is not None:  # a cancel may come before the start: there is nothing to show then
            _put_run(db, source.workflow, row)
            changes.run(source.workflow, row.run_id)
        case NodeRow():
            _put_own(db, source.workflow, source.name, row, changes)
            changes.run(source.workflow, row.run_id)
        case LedgerRow() | TimerRow():
            values = (source.workflow, source.name, key, row.run_id, encode(row))
            db.execute("insert or replace into rows values (?, ?, ?, ?, ?)", values)
            changes.run(source.workflow, row.run_id)


def _drop(db: sqlite3.Connection, source: Source, key: str, changes: Changes) -> None:
    """Carry out a tombstone: of a run's row it is the end of all that is kept of the run."""
    of = (source.workflow, key)
    if source.kind == "run rows":
        forget_run(db, *of)
        changes.run(*of)
    elif source.kind == "node rows":
        _change_node(db, source.workflow, key, source.name, own_status=None, value=None, review_hash=None)
    else:
        db.execute("delete from rows where workflow = ? and name = ? and key = ?", (source.workflow, source.name, key))


def forget_run(db: sqlite3.Connection, workflow: str, run_id: str) -> None:
    """Drop what is kept of a run; dead letters have a life of their own."""
    of = (workflow, run_id)
    db.execute("delete from texts where rowid in (select id from journal where workflow = ? and run_id = ?)", of)
    for table in ("runs", "nodes", "rows", "journal", "results", "events", "replays"):
        db.execute(f"delete from {table} where workflow = ? and run_id = ?", of)  # noqa: S608 - our own names


def _put_run(db: sqlite3.Connection, workflow: str, row: RunRow) -> None:
    known = db.execute(
        "select status, epoch from runs where workflow = ? and run_id = ?", (workflow, row.run_id)
    ).fetchone()
    db.execute(
        "insert or replace into runs values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            workflow,
            row.run_id,
            row.status,
            row.workflow_version,
            row.epoch,
            row.started_at or 0,
            row.finished_at if row.status != "running" else None,
            duration_of(row) if row.status != "running" else None,
            spent_of(row).cost_usd,
            encode(row),
        ),
    )
    for node, outcome in row.nodes.items():
        _change_node(
            db,
            workflow,
            row.run_id,
            node,
            outcome=outcome.status,
            outcome_epoch=outcome.epoch,
            outcome_attempts=outcome.attempts,
        )
    was_open = known is None or known["status"] == "running" or known["epoch"] < row.epoch
    if was_open and row.status != "running":
        _tell(db, workflow, row.run_id, "done", None, row.status, row.epoch, 0)


def _put_own(db: sqlite3.Connection, workflow: str, node: str, row: NodeRow, changes: Changes) -> None:
    asked = row.review.hash if row.review is not None and row.status == "waiting" and not row.closing else None
    own = {"own_status": row.status, "own_epoch": row.epoch, "own_attempts": row.attempt}
    if _change_node(db, workflow, row.run_id, node, **own, review_hash=asked, value=encode(row)):
        changes.of(workflow, "reviews")
    edges = [(workflow, source, node) for source in row.gathered if source != INPUT]
    db.executemany("insert or ignore into edges values (?, ?, ?)", edges)


_NODE: dict[str, Any] = {
    "status": "pending",
    "epoch": 0,
    "attempts": 0,
    "own_status": None,
    "own_epoch": 0,
    "own_attempts": 0,
    "outcome": None,
    "outcome_epoch": 0,
    "outcome_attempts": 0,
    "review_hash": None,
    "value": None,
}


def _change_node(db: sqlite3.Connection, workflow: str, run_id: str, node: str, **changed: Any) -> bool:
    """Change what is known of a node of a run; return whether what a person is asked there is another thing now."""
    of = (workflow, run_id, node)
    found = db.execute("select * from nodes where workflow = ? and run_id = ? and node = ?", of).fetchone()
    before = {name: found[name] for name in _NODE} if found else dict(_NODE)
    after = {**before, **changed}
    after["status"] = status_of(
        after["outcome"] or "pending", after["outcome_epoch"], after["own_status"] or "pending", after["own_epoch"]
    )
    after["epoch"] = max(after["own_epoch"], after["outcome_epoch"])
    after["attempts"] = max(after["own_attempts"], after["outcome_attempts"])
    if after["status"] != "waiting":
        after["review_hash"] = None
    if after != before or found is None:
        marks = ", ".join("?" * (3 + len(_NODE)))
        db.execute(f"insert or replace into nodes values ({marks})", (*of, *after.values()))  # noqa: S608 - marks
    told = ("status", "epoch", "attempts")
    if any(before[name] != after[name] for name in told):
        _tell(db, workflow, run_id, "node", node, after["status"], after["epoch"], after["attempts"])
    return bool(before["review_hash"] != after["review_hash"])


def _tell(
    db: sqlite3.Connection,
    workflow: str,
    run_id: str,
    event: str,
    node: str | None,
    status: str,
    epoch: int,
    attempt: int,
) -> None:
    """Number what happened to a run."""
    db.execute(
        "insert into events select ?, ?, coalesce(max(n), 0) + 1, ?, ?, ?, ?, ? from events where workflow = ? and run_id = ?",
        (workflow, run_id, event, node, status, epoch, attempt, workflow, run_id),
    )
