"""This worker's own records, at hand once they are acknowledged: a fetch brings them a moment later (ADR 0035).

They are early copies of what stands in the log, so any of them may be forgotten at any moment.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from aiokafka import TopicPartition

from streams.core.inbound import Inbound
from streams.engine.log import Log, Outgoing

REMEMBERED = 4_096
"""So many records at most wait for what stands before them; then all are forgotten."""


class Loopback:
    """A log that keeps what is appended to `topics`; `next_at` says which offset of a partition is handled next, None of another worker's."""

    def __init__(
        self,
        log: Log,
        topics: Collection[str],
        next_at: Callable[[TopicPartition], int | None],
        clock: Callable[[], int],
    ) -> None:
        self._log = log
        self._topics = frozenset(topics)
        self._next_at = next_at
        self._clock = clock
        self._kept: defaultdict[TopicPartition, dict[int, Outgoing]] = defaultdict(dict)
        self._count = 0
        self.arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when there is something to take."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append, and keep what comes back to this worker."""
        offsets = await self._log.append(records)
        for record, offset in zip(records, offsets, strict=True):
            if record.topic in self._topics and record.partition is not None:
                self._keep(TopicPartition(record.topic, record.partition), offset, record)
        return offsets

    def _keep(self, place: TopicPartition, offset: int, record: Outgoing) -> None:
        expected = self._next_at(place)
        if expected is None or offset < expected:
            return  # another worker reads it; or the fetch was quicker
        if self._count >= REMEMBERED:
            self.clear()
        self._kept[place][offset] = record
        self._count += 1
        if offset == expected and not self.arrived.done():
            self.arrived.set_result(None)

    def take(self, after: dict[TopicPartition, list[Inbound]], but: str | None = None) -> list[TopicPartition]:
        """Add to a batch what comes next at each place, behind what it has of it; nothing of the topic `but`. Return where."""
        added = []
        if self.arrived.done():
            self.arrived = asyncio.get_running_loop().create_future()
        for place in list(self._kept):
            fetched = after.get(place)
            expected = fetched[-1].offset + 1 if fetched else self._next_at(place)
            if place.topic != but and (found := self._following(place, expected)):
                after[place] = [*fetched, *found] if fetched else found
                added.append(place)
        return added

    def _following(self, place: TopicPartition, expected: int | None) -> list[Inbound]:
        kept, found, now = self._kept[place], [], self._clock()
        before = len(kept)
        while expected is not None and (r := kept.pop(expected, None)) is not None:
            found.append(Inbound(place.topic, place.partition, expected, now, r.key, r.value, r.headers))
            expected += 1
        for passed in [offset for offset in kept if expected is None or offset < expected]:
            del kept[passed]  # the fetch was quicker, or the partition is another's now
        self._count -= before - len(kept)
        if not kept:
            del self._kept[place]
        return found

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._count = 0
