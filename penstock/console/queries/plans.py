"""Recorded plans: what a workflow is, and what its nodes asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from penstock.console.api import shapes
from schemas.codec import loads
from schemas.records import NodeRow, Record, Succeeded
from streams.core.compiled import inputs_of
from streams.core.prompt import Prompt
from topology.json_schema import compile_schema
from topology.plan import NodePlan, WorkflowPlan
from topology.templates import TemplateError
from topology.versions import UnreadablePlan, plan_from_json

KEPT = 64


def current_plan(db: sqlite3.Connection, workflow: str) -> WorkflowPlan | None:
    """Return the version that new runs begin with, None if none is recorded."""
    asked = "select value from plans where workflow = ? order by recorded desc limit 1"
    row = db.execute(asked, (workflow,)).fetchone()
    return None if row is None else _plan(row["value"])


def faults_of(db: sqlite3.Connection, workflow: str, value: Any) -> list[str]:
    """Return what intake would refuse an input for, by the version that new runs begin with; none is known without it."""
    plan = current_plan(db, workflow)
    if plan is None or plan.input_schema is None:
        return []
    return compile_schema(plan.input_schema, "input_schema").validate(value)


def plan_called(db: sqlite3.Connection, workflow: str, plan_hash: str | None) -> WorkflowPlan | None:
    """Return the version of this hash, None if it is not recorded."""
    asked = "select value from plans where workflow = ? and plan_hash = ?"
    row = db.execute(asked, (workflow, plan_hash)).fetchone()
    return None if row is None else _plan(row["value"])


@lru_cache(KEPT)
def _plan(text: str) -> WorkflowPlan | None:
    """Return the plan in a record; a newer Penstock may have written one that cannot be read."""
    try:
        return plan_from_json(loads(text)["plan"])
    except (ValueError, KeyError, TypeError, UnreadablePlan):
        return None


def prompt_of(node: NodePlan, row: NodeRow | None, records: Iterable[tuple[int, Record]]) -> shapes.Prompt | None:
    """Return what the node's model was asked, rendered again; None for a node without a model, or one that saw nothing yet.

    It is verified by the hash over prompt, models, schema and parameters that the answer in use was recorded with.
    """
    if node.llm is None or row is None or not row.gathered or node.for_each is not None:
        return None
    prompt = Prompt(node)
    try:
        messages = prompt.messages(inputs_of(node, row), None)
    except (TemplateError, ValueError) as error:
        return shapes.Prompt(messages=None, verified=False, note=f"it cannot be rendered: {error}")
    recorded = _recorded_hash(node.id, row.epoch, records)
    verified = recorded is not None and recorded == prompt.request_hash(messages[0])
    return shapes.Prompt(
        messages=[shapes.Message(role="user", content=message) for message in messages],
        verified=verified,
        note=None if verified else _doubt(recorded),
    )


def _recorded_hash(node: str, epoch: int, records: Iterable[tuple[int, Record]]) -> str | None:
    found = (record for _, record in records if isinstance(record, Succeeded) and record.node == node)
    return next((record.request_hash for record in found if record.epoch == epoch), None)


def _doubt(recorded: str | None) -> str:
    if recorded is None:
        return "rendered from the recorded plan and inputs; no answer is recorded that it could be compared with"
    return "rendered from the recorded plan and inputs; its hash is not the one that was recorded with the answer"
