"""Runs: filtered, a page at a time."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from penstock.client.runs import RunState
from penstock.client.views import summary_of
from penstock.client.workflows import Workflow
from penstock.console.api import shapes
from penstock.console.api.requests import RunsAsked
from penstock.console.queries.paging import key_of, page
from penstock.console.queries.structure import workflow_of
from schemas.codec import decode
from schemas.records import RunRow

_KEY = ("started_at", "workflow", "run_id")
_REACHED = "('running', 'waiting', 'success', 'failed', 'cancelled')"
_MATCHING = """(r.workflow, r.run_id) in (select j.workflow, j.run_id from texts t join journal j on j.id = t.rowid
    where t.text like ? and instr(t.text, ?))"""
"""`like` finds candidates by the index (its wildcards may find too many), `instr` keeps those that hold the text itself."""
_HOLDING = """exists (select 1 from journal j join texts t on t.rowid = j.id
    where j.workflow = r.workflow and j.run_id = r.run_id and instr(t.text, ?))"""
FEW = 500
"""So many records that hold a text are looked up first; where there are more, runs are looked through in their order: a page is soon full."""


def list_runs(db: sqlite3.Connection, asked: RunsAsked) -> shapes.Runs:
    """Return a page of runs, the newest first; raise `UnknownWorkflow` or `BadCursor`."""
    if asked.workflow is not None:
        workflow_of(db, asked.workflow)
    conditions, values = [], []
    for condition, value in _conditions(db, asked):
        conditions.append(condition)
        values += value
    if asked.cursor is not None:
        conditions.append("(r.started_at, r.workflow, r.run_id) < (?, ?, ?)")
        values += key_of(asked.cursor, (int, str, str))
    where = f"where {' and '.join(conditions)}" if conditions else ""
    rows = db.execute(
        f"select r.started_at, r.workflow, r.run_id, r.value from runs r {where} "  # noqa: S608 - conditions are ours
        "order by r.started_at desc, r.workflow desc, r.run_id desc limit ?",
        (*values, asked.limit + 1),
    ).fetchall()
    shown, cursor = page(rows, asked.limit, _KEY)
    return shapes.Runs(items=[summary(db, row) for row in shown], next_cursor=cursor)


def _conditions(db: sqlite3.Connection, asked: RunsAsked) -> Iterator[tuple[str, list[Any]]]:
    for column in ("workflow", "status"):
        if (value := getattr(asked, column)) is not None:
            yield f"r.{column} = ?", [value]
    if asked.node is not None or asked.node_status is not None:
        yield _at_node(asked)
    if asked.q:
        yield _with_text(db, asked.q.casefold())
    if asked.started_after is not None:
        yield "r.started_at >= ?", [_ms(asked.started_after)]
    if asked.started_before is not None:
        yield "r.started_at < ?", [_ms(asked.started_before)]
    if asked.min_cost is not None:
        yield "r.cost_usd >= ?", [asked.min_cost]
    if asked.max_cost is not None:
        yield "r.cost_usd <= ?", [asked.max_cost]


def _at_node(asked: RunsAsked) -> tuple[str, list[Any]]:
    status = f"n.status in {_REACHED}" if asked.node_status is None else "n.status = ?"
    node = "n.node = ?" if asked.node is not None else "true"
    values = [value for value in (asked.node, asked.node_status) if value is not None]
    of = "n.workflow = r.workflow and n.run_id = r.run_id"
    return f"exists (select 1 from nodes n where {of} and {node} and {status})", values  # noqa: S608 - our own words


def _with_text(db: sqlite3.Connection, text: str) -> tuple[str, list[Any]]:
    counted = "select count(*) from (select 1 from texts where text like ? and instr(text, ?) limit ?)"
    few = db.execute(counted, (f"%{text}%", text, FEW + 1)).fetchone()[0] <= FEW
    return (_MATCHING, [f"%{text}%", text]) if few else (_HOLDING, [text])


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def summary(db: sqlite3.Connection, row: sqlite3.Row) -> shapes.RunSummary:
    """Return the line of a run, from its row in the read model."""
    found = cast("RunRow", decode(row["value"]))
    return shapes.RunSummary(**summary_values(db, Workflow(row["workflow"], 0, ()), found))


def summary_values(db: sqlite3.Connection, workflow: Workflow, row: RunRow) -> dict[str, Any]:
    """Return what a list shows of a run."""
    nodes = statuses(db, workflow.id, row.run_id)
    return {**summary_of(RunState(workflow, row, {})), "nodes": nodes, "error": _error(row)}


def statuses(db: sqlite3.Connection, workflow: str, run_id: str) -> dict[str, str]:
    """Return how the nodes of a run stand."""
    asked = "select node, status from nodes where workflow = ? and run_id = ? order by node"
    return {row["node"]: row["status"] for row in db.execute(asked, (workflow, run_id))}


def _error(row: RunRow) -> shapes.NodeError | None:
    """Return why the run did not succeed: the error of the node that failed first."""
    failed = defaultdict(list)
    for node, outcome in row.nodes.items():
        if outcome.error is not None and outcome.status in ("failed", "cancelled"):
            failed[outcome.status].append((outcome.finished_at or 0, node, outcome.error))
    for status in ("failed", "cancelled"):
        if failed[status]:
            _, node, error = min(failed[status], key=lambda one: one[:2])
            return shapes.NodeError(node=node, kind=error.kind, message=error.message)
    return None
