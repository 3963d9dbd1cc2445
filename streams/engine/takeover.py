"""Taking over partitions after a rebalance: restore their tables, then catch up before anything is launched again."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.engine.changelogs import OwnedChangelogs
from streams.engine.membership import Membership
from streams.engine.restore import Restorer
from streams.engine.tables import Tables

log = structlog.get_logger(__name__)


class Takeover:
    """Makes the tables of the current assignment ready, and knows which partitions still read what was there before."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        membership: Membership,
        restorer: Restorer,
        changelogs: OwnedChangelogs,
        tables: Tables,
    ) -> None:
        self._consumer = consumer
        self._membership = membership
        self._restorer = restorer
        self._changelogs = changelogs
        self._tables = tables
        self._behind: dict[int, dict[TopicPartition, int]] = {}
        self.topics: frozenset[str] = frozenset()
        """The co-partitioned topics it reads."""
        self._distrusted = False
        self.dropped: set[int] = set()
        """The partitions that the last takeover gave up."""
        self.restoring = False

    def caught_up(self, partition: int) -> bool:
        """Say whether everything that stood in the partition's topics at the takeover has been read."""
        return partition not in self._behind

    def distrust(self) -> None:
        """Restore everything at the next takeover: another worker's marker makes rows written after it void."""
        self._distrusted = True

    @property
    def complete(self) -> bool:
        """Say whether every partition is taken over and caught up."""
        return not self._membership.pending and not self._behind

    @property
    def behind(self) -> list[int]:
        """Return the partitions that still read what was there at the takeover."""
        return sorted(self._behind)

    async def run(self) -> set[int]:
        """Take over what is assigned now and return the partitions that were restored; a rebalance makes it pending again."""
        self.restoring = True
        try:
            return await self._run()
        finally:
            self.restoring = False

    async def _run(self) -> set[int]:
        self._membership.pending = False
        mine = self._membership.partitions(self.topics)
        self.dropped = self._tables.partitions() - mine
        self._drop(self.dropped)
        new = mine - await self._intact(self._tables.partitions())
        self._drop(new)
        rows = await self._restorer.restore(new, self._tables)
        for partition in new:
            self._tables.hold(partition)
        self._distrusted = False
        await self._note_ends(mine)
        if mine:
            log.info("partitions taken over", partitions=sorted(mine), restored=sorted(new), rows=rows)
        return new

    async def newly_caught_up(self) -> set[int]:
        """Return partitions that have just read all that was there at the takeover."""
        done = set()
        for partition, ends in list(self._behind.items()):
            for place, end in list(ends.items()):
                if await self._consumer.position(place) >= end:
                    del ends[place]
            if not ends:
                del self._behind[partition]
                done.add(partition)
        return done

    async def _intact(self, held: Iterable[int]) -> set[int]:
        """Return held partitions nobody else has written to: those that came straight back keep their tables."""
        held = set(held)
        if not held or self._distrusted:
            return set()
        ends = await self._restorer.ends(held)
        foreign = {shard[1] for shard, end in ends.items() if self._changelogs.last_offset.get(shard, -1) + 1 != end}
        return held - foreign

    def _drop(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            self._tables.drop(partition)
            self._changelogs.disown(partition)

    async def _note_ends(self, mine: set[int]) -> None:
        places = [place for place in self._membership.assigned if place.topic in self.topics]
        ends = await self._consumer.end_offsets(places) if places else {}
        self._behind = {p: {place: end for place, end in ends.items() if place.partition == p} for p in mine}
