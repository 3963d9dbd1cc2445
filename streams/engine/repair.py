"""Foreign writes to a changelog this worker owns: a zombie's late rows, put right as soon as they are seen (PROTOCOL.md 8).

What one owner writes is contiguous. A gap between two of its own writes, or an end beyond the last one while idle, is somebody
else's. A restore ignores such rows, but compaction would keep them, and anybody who reads the changelog would believe them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.records import Row
from streams.core.changelog import MARKER_KEY, ChangelogFold
from streams.engine.changelogs import OwnedChangelogs, Shard
from streams.engine.processor import Address
from streams.engine.restore import read_to, take
from streams.engine.tables import Tables

log = structlog.get_logger(__name__)


class OwnershipLost(Exception):
    """Another worker's marker stands before rows just written: a restore will ignore them, so what led to them is not done."""


class Repair:
    """Writes rows, and this worker's own again over foreign ones."""

    def __init__(self, reader: AIOKafkaConsumer, changelogs: OwnedChangelogs, tables: Tables) -> None:
        self._reader = reader
        self._changelogs = changelogs
        self._tables = tables
        self._one_at_a_time = asyncio.Lock()  # there is one reader

    async def write(self, rows: Mapping[Address, Row | None]) -> None:
        """Write rows and return once they are durable and count.

        Raises:
            OwnershipLost: they are durable, but do not count. Committing the offsets of what led to them would lose it.
        """
        await self._changelogs.write(rows)
        if not await self.run():
            raise OwnershipLost

    async def look(self, partitions: Iterable[int]) -> bool:
        """Look behind the last own write of each shard; False when another worker has taken one over."""
        held = {shard: last for shard, last in self._changelogs.last_offset.items() if shard[1] in set(partitions)}
        ends = await self._reader.end_offsets([self._place(shard) for shard in held]) if held else {}
        for shard, last in held.items():
            self._changelogs.note_foreign(shard, last + 1, ends[self._place(shard)])
        return await self.run()

    async def run(self) -> bool:
        """Repair what was noted; False when another worker has taken a shard over: then it is not ours to repair."""
        if not self._changelogs.foreign:
            return True
        async with self._one_at_a_time:
            return await self._run()

    async def _run(self) -> bool:
        for shard, seen in self._changelogs.foreign.items():
            fold = await self._read(shard, *seen)
            if any(marker.owner_epoch >= self._changelogs.epoch(shard) for marker in fold.markers):
                log.info("a changelog has a new owner", table=shard[0], partition=shard[1])
                return False
            await self._write_own(shard, fold)
            self._changelogs.forget_foreign(shard, seen)
        return True

    async def _read(self, shard: Shard, start: int, end: int) -> ChangelogFold:
        place, fold = self._place(shard), ChangelogFold()
        self._reader.assign([place])
        self._reader.seek(place, start)
        own = self._changelogs.epoch(shard)
        await read_to(self._reader, {place: end}, lambda record: take(fold, record, below=own))
        return fold

    async def _write_own(self, shard: Shard, fold: ChangelogFold) -> None:
        table, partition = shard
        keys = (set(fold.rows) | fold.deleted | fold.overwritten) - {MARKER_KEY.decode()}
        if keys:
            log.warning("rows of a former owner overwritten", table=table, partition=partition, rows=len(keys))
            await self._changelogs.write({(table, partition, k): self._tables.get(table, partition, k) for k in keys})

    def _place(self, shard: Shard) -> TopicPartition:
        return TopicPartition(self._changelogs.topics[shard[0]], shard[1])
