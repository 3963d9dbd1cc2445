"""Endpoints that read: each asks the read model one question."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from pydantic import BaseModel

from penstock.console.api import shapes
from penstock.console.api.endpoint import Call
from penstock.console.api.problems import Refused
from penstock.console.queries import letters, replays, reviews, run_detail, runs, workflows


async def status(call: Call) -> BaseModel:
    """Say how the read model stands."""
    now = call.console.hub.status
    return shapes.Status(
        ready=now.ready,
        behind=now.behind,
        broker=now.broker,
        error=now.error,
        version=now.version,
        unreadable=[shapes.Unreadable(workflow_id=of or None, reason=reason) for of, reason in now.unreadable.items()],
    )


async def all_workflows(call: Call) -> BaseModel:
    """Return all workflows."""
    unreadable = call.console.hub.status.unreadable
    return await call.console.ask(partial(workflows.all_workflows, now=datetime.now(UTC), unreadable=unreadable))


async def one_workflow(call: Call) -> BaseModel:
    """Return a workflow with its graph."""
    of = {"workflow_id": call.path["workflow_id"], "unreadable": call.console.hub.status.unreadable}
    return await call.console.ask(partial(workflows.one_workflow, now=datetime.now(UTC), **of))


async def list_runs(call: Call) -> BaseModel:
    """Return a page of runs."""
    return await call.console.ask(partial(runs.list_runs, asked=call.query))


async def one_run(call: Call) -> BaseModel:
    """Return a run."""
    state = await call.console.run(call.path["run_id"], call.query.workflow)
    return await call.console.ask(partial(run_detail.run_detail, run_id=state.row.run_id, workflow=state.workflow.id))


async def list_letters(call: Call) -> BaseModel:
    """Return a page of dead letters."""
    return await call.console.ask(partial(letters.list_letters, asked=call.query))


async def letter_groups(call: Call) -> BaseModel:
    """Return dead letters by cause."""
    return await call.console.ask(partial(letters.groups, asked=call.query))


async def one_letter(call: Call) -> BaseModel:
    """Return a dead letter."""
    partition, offset = (_number(call.path[name]) for name in ("partition", "offset"))
    of = {"workflow": call.path["workflow_id"], "partition": partition, "offset": offset}
    return await call.console.ask(partial(letters.letter_detail, **of))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused(422, "partition and offset are numbers")
    return int(text)


async def waiting(call: Call) -> BaseModel:
    """Return the reviews that wait."""
    return await call.console.ask(partial(reviews.waiting, workflow=call.query.workflow))


async def list_replays(call: Call) -> BaseModel:
    """Return replays."""
    return await call.console.ask(partial(replays.list_replays, workflow=call.query.workflow))


async def list_shadows(call: Call) -> BaseModel:
    """Return shadows."""
    return await call.console.ask(replays.list_shadows)


async def one_shadow(call: Call) -> BaseModel:
    """Return a shadow with its lines."""
    return await call.console.ask(partial(replays.shadow_detail, shadow_id=call.path["shadow_id"]))
