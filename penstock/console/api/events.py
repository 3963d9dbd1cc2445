"""`GET /v1/events`: what changed, pushed as it is folded, so that a page asks again for what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from penstock.console.api.endpoint import Call
from penstock.console.api.reading import status
from penstock.console.readmodel.changes import Changes
from penstock.console.readmodel.hub import Hub
from schemas.codec import dumps

PING_S = 15
AT_MOST_EVERY_S = 0.2
NAMED = 100
"""Runs that a change names; more are just many."""


async def events(call: Call) -> Response:
    """Push changes for as long as somebody listens."""
    return sse(_events(call))


def sse(content: AsyncIterator[ServerSentEvent]) -> Response:
    """Return a stream of events; no proxy is to hold any of them back."""
    return EventSourceResponse(content, ping=PING_S, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def event(name: str, data: Mapping[str, Any], id_: int | None = None) -> ServerSentEvent:
    """Return one event."""
    return ServerSentEvent(data=dumps(data), event=name, id=None if id_ is None else str(id_))


async def _events(call: Call) -> AsyncIterator[ServerSentEvent]:
    hub: Hub = call.console.hub
    told: Mapping[str, Any] = {}
    with hub.listening() as listener:
        while not hub.closing.is_set():
            now = (await status(call)).model_dump(exclude={"version"})
            if now != told:
                told = now
                yield event("status", {**now, "version": hub.status.version})
            changes = await listener.next(PING_S)
            if changes:
                yield event("change", _told(changes))
                await asyncio.sleep(AT_MOST_EVERY_S)


def _told(changes: Changes) -> dict[str, Any]:
    runs = sorted(changes.runs)
    return {
        "version": changes.version,
        "workflows": sorted(changes.workflows),
        "runs": None if len(runs) > NAMED else [{"workflow_id": of, "run_id": run_id} for of, run_id in runs],
        "what": sorted(changes.what),
    }
