"""Replays and how far they are; shadows and what differs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from penstock.client.shadow_diff import Summary, compared
from penstock.console.api import shapes
from penstock.console.queries.structure import unknown_workflow, workflow_of
from penstock.console.queries.workflows import shadowed_by
from schemas.codec import loads
from streams.core.dead_letter import iso

REFUSED = "refused"


def list_replays(db: sqlite3.Connection, workflow: str | None) -> shapes.Replays:
    """Return replays, the newest first; raise `UnknownWorkflow`."""
    if workflow is not None:
        workflow_of(db, workflow)
    rows = db.execute(
        "select workflow, replay_id, max(began_at) as began_at, max(requested_by) as by, max(node) as node, max(reuse) as reuse, "
        "count(*) as runs, count(opened) as opened from replays where (? is null or workflow = ?) "
        "group by workflow, replay_id order by began_at desc, workflow, replay_id",
        (workflow, workflow),
    )
    return shapes.Replays(items=[_replay(db, row) for row in rows.fetchall()])


def _replay(db: sqlite3.Connection, row: sqlite3.Row) -> shapes.Replay:
    asked = "select status, count(*) from replays where workflow = ? and replay_id = ? and status is not null group by status"
    ended: dict[str, int] = dict(db.execute(asked, (row["workflow"], row["replay_id"])).fetchall())
    refused = ended.pop(REFUSED, 0)
    return shapes.Replay(
        workflow_id=row["workflow"],
        replay_id=row["replay_id"],
        began_at=None if row["began_at"] is None else iso(row["began_at"]),
        requested_by=row["by"],
        node=row["node"],
        reuse=bool(row["reuse"]),
        runs=row["runs"],
        opened=row["opened"],
        ended=ended,
        refused=refused,
    )


def list_shadows(db: sqlite3.Connection) -> shapes.Shadows:
    """Return the shadows whose topics are there."""
    found = [(row["id"], shadowed_by(row["id"])) for row in db.execute("select id from workflows order by id")]
    return shapes.Shadows(
        items=[
            shapes.Shadow(workflow_id=of, shadow_id=id_, summary=_summary(list(_lines(db, id_, of))))
            for id_, of in found
            if of is not None
        ]
    )


def shadow_detail(db: sqlite3.Connection, shadow_id: str) -> shapes.ShadowDetail:
    """Return a shadow with its diff lines; raise `UnknownWorkflow`."""
    of = shadowed_by(shadow_id)
    if of is None:
        raise unknown_workflow(db, shadow_id)
    workflow_of(db, shadow_id)
    lines = list(_lines(db, shadow_id, of))
    return shapes.ShadowDetail(workflow_id=of, shadow_id=shadow_id, summary=_summary(lines), lines=lines)


def _lines(db: sqlite3.Connection, shadow_id: str, workflow: str) -> Iterator[dict[str, Any]]:
    for run_id, after in _last_results(db, shadow_id):
        before = dict(_last_results(db, workflow, run_id)).get(run_id, {})
        yield compared(before, after)


def _last_results(
    db: sqlite3.Connection, workflow: str, run_id: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = db.execute(
        "select run_id, value, max(epoch) from results where workflow = ? and (? is null or run_id = ?) "
        "group by run_id order by run_id",
        (workflow, run_id, run_id),
    )
    for row in rows:
        yield row["run_id"], loads(row["value"])


def _summary(lines: list[dict[str, Any]]) -> shapes.ShadowSummary:
    summary = Summary()
    for line in lines:
        summary.take(line)
    return shapes.ShadowSummary.model_validate(summary.told())
