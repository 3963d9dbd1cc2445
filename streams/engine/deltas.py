"""What a model says while it says it, for `{wf}.tokens`: joined over a short while, in order, never waited for by the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from schemas import headers as names
from schemas.codec import dumps
from schemas.headers import headers_of
from schemas.records import NodeRow
from streams.core.transition import Send

EVERY_S = 0.05
"""Deltas of so long are one record: a record per token would cost more than the token."""

Append = Callable[[Sequence[Send]], Awaitable[Any]]


class Deltas:
    """The deltas of one launch of an attempt, numbered from 0. A slow broker makes them fewer and longer; none is lost or moved."""

    def __init__(self, topic: str, node: str, row: NodeRow, append: Append) -> None:
        self._topic = topic
        self._node = node
        self._row = row
        self._append = append
        self._said: list[str] = []
        self._sent = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, text: str) -> None:
        """Take what the model has just said."""
        self._said.append(text)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon())

    async def close(self) -> None:
        """Return once everything said is acknowledged: before the attempt's end is written."""
        if self._task is not None:
            await self._task

    def abandon(self) -> None:
        """Stop: nobody waits for the attempt any more."""
        if self._task is not None:
            self._task.cancel()

    async def _flush_soon(self) -> None:
        while self._said:
            await asyncio.sleep(EVERY_S)
            said, self._said = "".join(self._said), []
            number, self._sent = self._sent, self._sent + 1
            await self._append([self._record(number, said)])

    def _record(self, number: int, said: str) -> Send:
        row = self._row
        body = {
            "run_id": row.run_id,
            "node": self._node,
            "attempt": row.attempt,
            "epoch": row.epoch,
            "launch": row.launch,
            "seq": number,
            "delta": said.encode(errors="replace").decode(),
        }
        headers = {
            names.CE_ID: f"{row.run_id}/{self._node}/{row.epoch}/{row.seq}/{row.launch}/{number}/Delta",
            names.CE_TYPE: "Delta",
            names.CONTENT_TYPE: "application/json",
            names.TRACEPARENT: row.traceparent,
        }
        return Send(self._topic, row.run_id.encode(), dumps(body).encode(), headers_of(headers))
