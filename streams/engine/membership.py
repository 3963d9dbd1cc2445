"""This worker's place in the consumer group: what it was assigned, and whether that was taken over yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import ConsumerRebalanceListener, TopicPartition

SETTLE_S = 5
"""How long a takeover waits for the assignment that follows a revocation before it lets the loop turn."""


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Follows rebalances. Callbacks return quickly: the batch loop does the restore when it sees `pending`."""

    def __init__(self, batch: asyncio.Lock, on_revoke: Callable[[], Awaitable[None]]) -> None:
        self._batch = batch
        self._on_revoke = on_revoke
        self.generation = 0
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.pending = False
        self.lost = False
        """This worker found out by itself that it is no owner any more: it writes no row until it is assigned anew."""
        self.changed = asyncio.Event()
        """Set at every assignment."""

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch at work end, then commit: a record is never half done when its partition moves."""
        async with self._batch:
            await self._on_revoke()
            self.generation += 1
            self.assigned = frozenset()
            self.pending = True
            self.changed.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note what is to be taken over."""
        async with self._batch:
            self.generation += 1
            self.assigned = frozenset(assigned)
            self.pending = True
            self.lost = False
            self.changed.set()

    def lose(self) -> None:
        """Note that the assignment does not hold any more; the group does not know yet."""
        self.generation += 1
        self.assigned = frozenset()
        self.pending = True
        self.lost = True
        self.changed.clear()

    async def settled(self) -> bool:
        """Wait, for a while, until a revocation is followed by its assignment; return whether it is."""
        try:
            async with asyncio.timeout(SETTLE_S):
                return await self.changed.wait()
        except TimeoutError:
            return False

    def partitions(self, topics: frozenset[str]) -> set[int]:
        """Return the assigned partition numbers of co-partitioned `topics`."""
        return {place.partition for place in self.assigned if place.topic in topics}
