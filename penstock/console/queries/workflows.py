"""Workflows with how they go."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

from penstock.console.api import shapes
from penstock.console.queries.plans import current_plan
from penstock.console.queries.structure import dag_of, workflow_of
from schemas.codec import loads
from streams.core.dead_letter import iso

MEASURED = 10_000
"""Quantiles are of so many runs, those that ended last."""
STATUSES = ("running", "success", "failed", "stopped", "cancelled")
_SHADOW = re.compile(r"shadow-[0-9a-f]{12}-(?P<workflow>.+)\Z")


def all_workflows(db: sqlite3.Connection, now: datetime, unreadable: Mapping[str, str]) -> shapes.Workflows:
    """Return every workflow; `now` says which day is today, `unreadable` of which not all is here, and why."""
    rows = db.execute("select id from workflows order by id").fetchall()
    return shapes.Workflows(items=[shapes.Workflow(**_figures(db, row["id"], now, unreadable)) for row in rows])


def one_workflow(
    db: sqlite3.Connection, workflow_id: str, now: datetime, unreadable: Mapping[str, str]
) -> shapes.WorkflowDetail:
    """Return a workflow with its graph; raise `UnknownWorkflow`."""
    workflow, plan = workflow_of(db, workflow_id), current_plan(db, workflow_id)
    return shapes.WorkflowDetail(
        **_figures(db, workflow_id, now, unreadable),
        dag=dag_of(db, workflow, plan, counted=True),
        input_schema=plan.input_schema if plan else None,
    )


def shadowed_by(workflow_id: str) -> str | None:
    """Return the workflow that one of this id is a shadow of, None if it is none."""
    found = _SHADOW.match(workflow_id)
    return found["workflow"] if found else None


def _figures(db: sqlite3.Connection, workflow_id: str, now: datetime, unreadable: Mapping[str, str]) -> dict[str, Any]:
    one = db.execute("select * from workflows where id = ?", (workflow_id,)).fetchone()
    counts = dict.fromkeys(STATUSES, 0)
    for row in db.execute("select status, count(*) from runs where workflow = ? group by status", (workflow_id,)):
        counts[row[0]] = row[1]
    ended = sum(counts.values()) - counts["running"]
    last = db.execute(
        "select version, started_at from runs where workflow = ? order by started_at desc, run_id limit 1",
        (workflow_id,),
    ).fetchone()
    return {
        "id": workflow_id,
        "version": last["version"] if last else None,
        "partitions": one["partitions"],
        "nodes": loads(one["nodes"]),
        "runs": shapes.RunCounts(total=sum(counts.values()), **counts),
        "success_ratio": counts["success"] / ended if ended else None,
        "duration_ms": _quantiles(db, workflow_id),
        **_spent(db, workflow_id, now),
        "dead_letters_open": _count(db, "letters where workflow = ? and status = 'open'", workflow_id),
        "reviews_waiting": _count(db, "nodes where workflow = ? and review_hash is not null", workflow_id),
        "last_started_at": iso(last["started_at"]) if last else None,
        "shadow_of": shadowed_by(workflow_id),
        "unreadable": unreadable.get(workflow_id),
    }


def _count(db: sqlite3.Connection, what: str, workflow_id: str) -> int:
    return int(db.execute(f"select count(*) from {what}", (workflow_id,)).fetchone()[0])  # noqa: S608 - our own words


def _quantiles(db: sqlite3.Connection, workflow_id: str) -> shapes.Quantiles:
    rows = db.execute(
        "select duration_ms from runs where workflow = ? and finished_at is not null order by finished_at desc limit ?",
        (workflow_id, MEASURED),
    )
    took = sorted(row[0] for row in rows)
    if not took:
        return shapes.Quantiles(p50=None, p95=None)
    p50, p95 = (took[ceil(share * len(took)) - 1] for share in (0.5, 0.95))
    return shapes.Quantiles(p50=p50, p95=p95)


def _spent(db: sqlite3.Connection, workflow_id: str, now: datetime) -> dict[str, Any]:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    row = db.execute(
        "select total(cost_usd) as cost, coalesce(sum(tokens), 0) as tokens, coalesce(sum(cost_usd is null), 0) as unpriced "
        "from journal where workflow = ? and spent_at >= ?",
        (workflow_id, int(midnight.timestamp() * 1000)),
    ).fetchone()
    return {
        "spend_today_usd": row["cost"],
        "unpriced_calls_today": row["unpriced"],
        "tokens_today": row["tokens"],
    }
