"""Writing tables to their changelogs, under this worker's owner epoch."""

from __future__ import annotations

from collections.abc import Mapping

from schemas import headers as names
from schemas.codec import encode
from schemas.headers import Headers, headers_of
from schemas.records import Row
from streams.engine.log import Log, Outgoing
from streams.engine.processor import Address

Shard = tuple[str, int]
"""A table and a partition."""


class OwnedChangelogs:
    """The changelog partitions this worker owns: its owner epoch in each, and where its last acknowledged write stands."""

    def __init__(self, log: Log, topics: Mapping[str, str]) -> None:
        self._log = log
        self.topics = topics
        self._epoch: dict[Shard, int] = {}
        self._headers: dict[Shard, Headers] = {}
        self._foreign: dict[Shard, tuple[int, int]] = {}
        self.last_offset: dict[Shard, int] = {}

    def own(self, shard: Shard, owner_epoch: int, last_offset: int) -> None:
        """Begin to own a shard: its marker of `owner_epoch` stands at `last_offset`."""
        self._epoch[shard] = owner_epoch
        self._headers[shard] = headers_of({names.OWNER_EPOCH: owner_epoch})
        self.last_offset[shard] = last_offset
        self._foreign.pop(shard, None)

    def epoch(self, shard: Shard) -> int:
        """Return this worker's owner epoch in a shard."""
        return self._epoch[shard]

    def disown(self, partition: int) -> None:
        """Stop owning a partition's shards."""
        for shard in [shard for shard in self._epoch if shard[1] == partition]:
            del self._epoch[shard], self._headers[shard], self.last_offset[shard]
            self._foreign.pop(shard, None)

    async def write(self, rows: Mapping[Address, Row | None]) -> None:
        """Write rows (None: a tombstone) and return once they are acknowledged; foreign writes in between are noted."""
        offsets = await self._log.append([self._record(address, row) for address, row in rows.items()])
        for (table, partition, _), offset in zip(rows, offsets, strict=True):
            shard = (table, partition)
            self.note_foreign(shard, self.last_offset[shard] + 1, offset)
            self.last_offset[shard] = max(offset, self.last_offset[shard])

    def note_foreign(self, shard: Shard, start: int, end: int) -> None:
        """Note that offsets from `start` below `end` are not this worker's; nothing if there are none."""
        if start < end:
            self.last_offset[shard] = max(end - 1, self.last_offset[shard])
            first, last = self._foreign.get(shard, (start, end))
            self._foreign[shard] = (min(first, start), max(last, end))

    @property
    def foreign(self) -> Mapping[Shard, tuple[int, int]]:
        """The noted ranges (start, end) by shard."""
        return dict(self._foreign)

    def forget_foreign(self, shard: Shard, seen: tuple[int, int]) -> None:
        """Forget a range that was dealt with; one that has grown meanwhile stays."""
        if self._foreign.get(shard) == seen:
            del self._foreign[shard]

    def _record(self, address: Address, row: Row | None) -> Outgoing:
        table, partition, key = address
        value = None if row is None else encode(row)
        return Outgoing(self.topics[table], partition, key.encode(), value, self._headers[(table, partition)])
