"""What a running console is made of: the read model and who follows the topics into it, and a producer for what people ask for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

from aiokafka import AIOKafkaProducer

from penstock.client import connections
from penstock.client.errors import UnknownRun
from penstock.client.runs import RunState
from penstock.console.api.problems import Refused
from penstock.console.idempotency import Recent
from penstock.console.queries.run_detail import find_run
from penstock.console.readmodel.follow import Follower
from penstock.console.readmodel.hub import Hub
from penstock.console.readmodel.store import Store
from streams.engine.config import EngineConfig

T = TypeVar("T")

READY_WITHIN_S = 20.0
"""How long a question waits for a read model that is being made; then the answer says so."""
STARTED_WITHIN_S = 10.0
"""How long a run that was published here is waited for."""
STREAMS = 256
"""Streams at once: each has a reader of its own."""


class Console:
    """The console's parts, for its endpoints."""

    def __init__(self, config: EngineConfig, store: Store) -> None:
        self.config = config
        self.store = store
        self.hub = Hub()
        self.recent = Recent()
        self.streams = asyncio.Semaphore(STREAMS)
        self._follower = Follower(config, store, self.hub)
        self._producing = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._made = AsyncExitStack()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the topics while inside."""
        following = asyncio.create_task(self._follower.run())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})
            await self._drop_producer()

    @property
    def topics(self) -> Mapping[str, int]:
        """Every topic of the broker with its partition count, as of a second ago."""
        return self._follower.topics

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the read model, once it is whole; raise `Refused` if that takes too long."""
        status = self.hub.status
        if not status.ready and not await self.hub.until_ready(READY_WITHIN_S):
            why = status.error or f"{status.behind} records of the topics are still to be read"
            raise Refused(503, f"the read model is being made: {why}", {"Retry-After": "5"})
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self.store.reading() as db:
            return question(db)

    async def run(self, run_id: str, workflow: str | None) -> RunState:
        """Return a run; one that was published here is waited for: it is there once a worker has taken it up.

        Raises:
            UnknownRun: there is none.
            UnknownWorkflow: nor a workflow of that id.
            Ambiguous: two workflows have one.
        """
        question = partial(find_run, run_id=run_id, workflow=workflow)
        clock = asyncio.get_running_loop()
        last = clock.time() + STARTED_WITHIN_S
        with self.hub.listening() as listener:
            while True:
                try:
                    return await self.ask(question)
                except UnknownRun as error:
                    if not self.recent.is_published(run_id) or clock.time() > last or self.hub.closing.is_set():
                        raise self._with_left_out(error) from None
                await listener.next(1)

    def _with_left_out(self, error: UnknownRun) -> UnknownRun:
        missed = [workflow for workflow in self.hub.status.unreadable if workflow]
        return UnknownRun(f"{error}. Not looked at: {', '.join(map(repr, missed))}") if missed else error

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """Yield the producer, made at the first use; one that failed is made anew the next time."""
        async with self._producing:
            if self._producer is None:
                await self._make_producer()
        try:
            yield self._producer
        except Exception as error:
            if not isinstance(error, Refused):
                await self._drop_producer()
            raise

    async def _make_producer(self) -> None:
        self._producer = await self._made.enter_async_context(connections.producer(self.config))

    async def _drop_producer(self) -> None:
        made, self._made, self._producer = self._made, AsyncExitStack(), None
        await made.aclose()
