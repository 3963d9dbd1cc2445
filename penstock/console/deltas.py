"""The deltas of one run, from a place on, each once: what `consume --tokens` shows, with the offsets at which they stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from penstock.client import connections, reading
from penstock.client.results import result_in
from penstock.client.runs import RunState
from penstock.client.tokens import Delta, Newest
from streams.engine.partitions import partition_of
from topology.naming import tokens_topic

if TYPE_CHECKING:
    from penstock.console.console import Console

SKEW_MS = 60_000
"""How far the clocks of workers may be apart: a run's deltas are looked for from so long before its start."""
POLL_MS = 100
KEYS = frozenset({"run_id", "node", "attempt", "epoch", "launch", "seq", "delta"})


class DeltaTail:
    """Follows one run's partition of the tokens topic; without such a topic there is nothing to say."""

    def __init__(self, reader: AIOKafkaConsumer | None, place: TopicPartition, run_id: str, begin: int) -> None:
        self._reader = reader
        self._place = place
        self._run_id = run_id
        self._begin = begin
        self._newest = Newest()

    async def to_end(self) -> AsyncIterator[tuple[int, Delta]]:
        """Yield what there is now, with its offset."""
        if self._reader is None:
            return
        end = (await self._reader.end_offsets([self._place]))[self._place]
        while await self._reader.position(self._place) < end:
            async for found in self._some():
                yield found

    async def until(self, news: asyncio.Event, within_s: float) -> AsyncIterator[tuple[int, Delta]]:
        """Yield what comes, until there is news or the time is over."""
        clock = asyncio.get_running_loop()
        last = clock.time() + within_s
        if self._reader is None:
            try:
                async with asyncio.timeout(within_s):
                    await news.wait()
            except TimeoutError:
                pass
            return
        while not news.is_set() and clock.time() < last:
            async for found in self._some():
                yield found

    async def _some(self) -> AsyncIterator[tuple[int, Delta]]:
        assert self._reader is not None  # noqa: S101 - both callers looked
        for records in (await self._reader.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                delta = self._take(record)
                if delta is not None:
                    yield record.offset, delta

    def _take(self, record: ConsumerRecord) -> Delta | None:
        """Return a delta of the run that is the next one to be told; what was told before is taken, too, to know which is."""
        if record.key != self._run_id.encode():
            return None
        delta = result_in(record)
        if delta is None or not delta.keys() >= KEYS or delta["run_id"] != self._run_id:
            return None
        return delta if self._newest.take(delta) and record.offset >= self._begin else None


@asynccontextmanager
async def tail_of(console: Console, state: RunState, begin: int | None) -> AsyncIterator[DeltaTail]:
    """Yield what follows a run's deltas from offset `begin` on, or from the run's first."""
    topic, run_id = tokens_topic(state.workflow.id), state.row.run_id
    count = console.topics.get(topic)
    place = TopicPartition(topic, partition_of(run_id.encode(), count or 1))
    if count is None:
        yield DeltaTail(None, place, run_id, 0)
        return
    async with connections.reader(console.config) as reader:
        await reading.begin(reader, [place], max(0, (state.row.started_at or 0) - SKEW_MS))
        end = (await reader.end_offsets([place]))[place]
        # A place beyond the end is of a topic that was made anew: then all of it is new.
        yield DeltaTail(reader, place, run_id, begin if begin is not None and begin <= end else 0)
