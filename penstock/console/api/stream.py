"""`GET /v1/runs/{id}/stream`: a run as it goes, for services that do not speak Kafka.

An event's id is a place in two logs: the offset behind the last delta, and how many numbered events of the run were told, by which read
model. A client that comes back with it goes on exactly there. Deltas are counted by Kafka's offsets, whichever process answers; a read
model that was made anew may number the other events otherwise, so it tells them all again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sse_starlette import ServerSentEvent
from starlette.responses import Response

from penstock.client.runs import RunState
from penstock.client.views import detail_of
from penstock.client.workflows import Workflow
from penstock.console.api.endpoint import Call
from penstock.console.api.events import event, sse
from penstock.console.api.problems import Refused
from penstock.console.console import Console
from penstock.console.deltas import DeltaTail, tail_of
from penstock.console.queries import run_detail
from penstock.console.readmodel.hub import Listener
from penstock.console.readmodel.store import GENERATION_BITS
from schemas.codec import loads
from schemas.records import TERMINAL_STATUSES

_TOLD_BITS = 16
_LOW_BITS = _TOLD_BITS + GENERATION_BITS
RESULT_WITHIN_S = 5.0
"""How long the end waits for the result: the run's row may be folded before it."""
LOOK_EVERY_S = 1.0


@dataclass(slots=True)
class At:
    """Where a client is: the next offset of deltas (None: from the run's beginning), and the events told by the read model `generation`."""

    generation: int
    offset: int | None = None
    told: int = 0

    @classmethod
    def of(cls, id_: str | None, generation: int) -> At:
        """Return the place that an event's id names."""
        if id_ is None:
            return cls(generation)
        offset, low = divmod(int(id_), 1 << _LOW_BITS)
        known, told = divmod(low, 1 << _TOLD_BITS)
        return cls(generation, offset or None, told if known == generation else 0)

    @property
    def id(self) -> int:
        """Return the id of an event after which a client is here."""
        return (self.offset or 0) << _LOW_BITS | self.generation << _TOLD_BITS | self.told


async def stream(call: Call) -> Response:
    """Follow a run: deltas, its nodes, its end. After the end there is nothing to come back for: 204."""
    last = call.request.headers.get("last-event-id") or call.query.last_event_id
    if last is not None and not (last.isascii() and last.isdigit() and len(last) <= 19):
        raise Refused(422, "Last-Event-ID: not the id of an event of this stream")
    state = await call.console.run(call.path["run_id"], call.query.workflow)
    at = At.of(last, call.console.store.generation)
    if state.row.status != "running" and last is not None:
        ahead = await call.console.ask(partial(_ahead, state=state, told=at.told))
        if not ahead:
            return Response(status_code=204)
    if call.console.streams.locked():
        raise Refused(503, "too many streams are open", {"Retry-After": "5"})
    return sse(_follow(call.console, state, at))


@dataclass(frozen=True, slots=True)
class Ahead:
    """An event to be told."""

    n: int
    event: str
    data: dict[str, Any]


async def _follow(console: Console, state: RunState, at: At) -> AsyncIterator[ServerSentEvent]:
    async with console.streams, tail_of(console, state, at.offset) as tail:
        with console.hub.listening() as listener:
            async for one in _told(console, state, at, tail, listener):
                yield one


async def _told(
    console: Console, state: RunState, at: At, tail: DeltaTail, listener: Listener
) -> AsyncIterator[ServerSentEvent]:
    while not console.hub.closing.is_set():
        ahead = await console.ask(partial(_ahead, state=state, told=at.told))
        if ahead:
            # A delta is acknowledged before the end of its attempt is written: what was said before these events is there by now.
            async for offset, delta in tail.to_end():
                at.offset = offset + 1
                yield event("token", delta, at.id)
        for one in ahead:
            data = one.data if one.event == "node" else await _end(console, state, one)
            at.told = one.n
            yield event(one.event, data, at.id)
        over: bool = bool(ahead) and await console.ask(partial(_is_over, state=state, told=at.told))
        if over:
            return
        async for offset, delta in tail.until(listener.news, LOOK_EVERY_S):
            at.offset = offset + 1
            yield event("token", delta, at.id)
        listener.news.clear()


async def _end(console: Console, state: RunState, last: Ahead) -> dict[str, Any]:
    """Return the end of an epoch, with its result."""
    clock = asyncio.get_running_loop()
    until = clock.time() + RESULT_WITHIN_S
    epoch = last.data["epoch"]
    while True:
        result = await console.ask(partial(_result, state=state, epoch=epoch))
        if result is not None or clock.time() > until:
            break
        await asyncio.sleep(0.1)
    kept = ("outputs", "usage", "cost_usd", "duration_ms")
    return {**last.data, "workflow_id": state.workflow.id, **{name: (result or {}).get(name) for name in kept}}


def _result(db: Any, state: RunState, epoch: int) -> dict[str, Any] | None:
    asked = "select value from results where workflow = ? and run_id = ? and epoch = ?"
    row = db.execute(asked, (state.workflow.id, state.row.run_id, epoch)).fetchone()
    return None if row is None else dict(loads(row["value"]))


def _ahead(db: Any, state: RunState, told: int) -> Sequence[Ahead]:
    """Return what happened since; a node that ended has its output or its error, if that is still of this epoch."""
    workflow, run_id = state.workflow.id, state.row.run_id
    asked = "select * from events where workflow = ? and run_id = ? and n > ? order by n"
    rows = db.execute(asked, (workflow, run_id, told)).fetchall()
    if not rows:
        return []
    nodes = _nodes(db, workflow, run_id)
    return [Ahead(row["n"], row["event"], _data(row, nodes)) for row in rows]


def _is_over(db: Any, state: RunState, told: int) -> bool:
    """Say whether the end of the last epoch was told; nodes in the background may go on behind it."""
    asked = "select max(epoch), max(case when event = 'done' and n <= ? then epoch end) from events where workflow = ? and run_id = ?"
    last, ended = db.execute(asked, (told, state.workflow.id, state.row.run_id)).fetchone()
    return bool(last == ended)


def _nodes(db: Any, workflow: str, run_id: str) -> dict[str, Any]:
    row = run_detail.row_of(db, workflow, run_id)
    if row is None:
        return {}
    state = run_detail.with_nodes(db, RunState(Workflow(workflow, 0, ()), row, {}))
    return dict(detail_of(state)["nodes"])


def _data(row: Any, nodes: dict[str, Any]) -> dict[str, Any]:
    said = {"run_id": row["run_id"], "status": row["status"], "epoch": row["epoch"]}
    if row["event"] != "node":
        return said
    said |= {"node": row["node"], "attempt": row["attempt"]}
    known = nodes.get(row["node"])
    if known is not None and row["status"] in TERMINAL_STATUSES and known["epoch"] == row["epoch"]:
        said |= {"output": known["output"], "error": known["error"]}
    return said
