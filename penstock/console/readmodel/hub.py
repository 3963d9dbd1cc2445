"""Telling those who look what changed: each listener gets everything, joined until it asks for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from penstock.console.readmodel.changes import Changes


@dataclass(slots=True)
class Status:
    """How the fold stands: `ready` once the topics were read up to the end they had at the start; `behind` is in records.

    `unreadable` are workflows that are left out, and why.
    """

    ready: bool = False
    behind: int = 0
    broker: str = "ok"
    error: str | None = None
    version: int = 0
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Listener:
    """One who looks."""

    pending: Changes = field(default_factory=Changes)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self, within_s: float) -> Changes:
        """Return what changed since the last call, waiting for it so long: nothing, perhaps."""
        try:
            async with asyncio.timeout(within_s):
                await self.news.wait()
        except TimeoutError:
            pass
        self.news.clear()
        found, self.pending = self.pending, Changes()
        return found


class Hub:
    """Where the fold tells and others listen."""

    def __init__(self) -> None:
        self.status = Status()
        self.closing = asyncio.Event()
        self._listeners: set[Listener] = set()
        self._ready = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Yield a listener that hears everything from now on."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def tell(self, changes: Changes) -> None:
        """Pass on what a batch changed."""
        self.status.version = changes.version
        for listener in self._listeners:
            listener.pending.add(changes)
            listener.news.set()

    def tell_workflow(self, workflow: str) -> None:
        """Pass on that a workflow came, went, or has other nodes."""
        changes = Changes(version=self.status.version)
        changes.of(workflow, "workflows")
        self.tell(changes)

    def wake(self) -> None:
        """Have every listener look: the status changed, or the end is near."""
        if self.status.ready:
            self._ready.set()
        for listener in self._listeners:
            listener.news.set()

    def close(self) -> None:
        """Have every listener leave."""
        self.closing.set()
        self.wake()

    async def until_ready(self, within_s: float) -> bool:
        """Wait until the read model is whole, so long; return whether it is."""
        try:
            async with asyncio.timeout(within_s):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True
