"""Reviews that wait, with what the reviewer must see."""

from __future__ import annotations

import sqlite3
from typing import Any

from penstock.client import reviews
from penstock.console.api import shapes
from penstock.console.queries.plans import current_plan
from penstock.console.queries.structure import workflow_of
from schemas.codec import decode
from schemas.records import ReviewRequested


def waiting(db: sqlite3.Connection, workflow: str | None) -> shapes.Reviews:
    """Return what waits, the one due first at the top; raise `UnknownWorkflow`."""
    if workflow is not None:
        workflow_of(db, workflow)
    asked = "select * from nodes where review_hash is not null and (? is null or workflow = ?)"
    found = [request for row in db.execute(asked, (workflow, workflow)) if (request := request_of(db, row))]
    found.sort(key=lambda review: (review.request.due_at, review.request.run_id, review.request.node))
    return shapes.Reviews(items=[_shape(review, _form_schema(db, review)) for review in found])


def request_of(db: sqlite3.Connection, row: sqlite3.Row) -> reviews.Review | None:
    """Return the request that a node waits for the answer to; it may be read a moment after the row."""
    asked = "select value from journal where workflow = ? and run_id = ? and node = ? and type = 'ReviewRequested' order by id"
    for record in db.execute(asked, (row["workflow"], row["run_id"], row["node"])):
        found = decode(record["value"])
        if isinstance(found, ReviewRequested) and found.hash == row["review_hash"]:
            return reviews.Review(row["workflow"], found)
    return None


def review_at(db: sqlite3.Connection, workflow: str, run_id: str, node: str) -> reviews.Review | None:
    """Return the review that a node of a run waits for, None if it waits for none."""
    asked = "select * from nodes where workflow = ? and run_id = ? and node = ? and review_hash is not null"
    row = db.execute(asked, (workflow, run_id, node)).fetchone()
    return None if row is None else request_of(db, row)


def _form_schema(db: sqlite3.Connection, review: reviews.Review) -> dict[str, Any] | None:
    plan = current_plan(db, review.workflow)
    found = [node.review for node in plan.nodes if node.id == review.request.node] if plan else []
    return found[0].form_schema if found and found[0] is not None else None


def _shape(review: reviews.Review, form_schema: dict[str, Any] | None) -> shapes.Review:
    told: dict[str, Any] = {"escalation": 0, **review.detail()}
    return shapes.Review(**told, form_schema=form_schema)
