"""Restore: take over changelog partitions, so that this worker's rows are the truth and a predecessor's late writes are not (PROTOCOL.md 8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas import headers as names
from schemas.codec import encode
from schemas.headers import header, headers_of
from schemas.records import OwnerMarker
from streams.core.changelog import MARKER_KEY, ChangelogFold
from streams.engine.changelogs import OwnedChangelogs, Shard
from streams.engine.log import Log, Outgoing
from streams.engine.tables import Tables
from streams.errors import EngineFailure, UndecodableRecord

STALLED_S = 60


class Restorer:
    """Reads changelogs with a consumer of its own, to the end and on to its own marker."""

    def __init__(self, reader: AIOKafkaConsumer, log: Log, changelogs: OwnedChangelogs, incarnation: str) -> None:
        self._reader = reader
        self._log = log
        self._changelogs = changelogs
        self._incarnation = incarnation
        self._table_of = {topic: table for table, topic in changelogs.topics.items()}

    async def ends(self, partitions: Iterable[int]) -> dict[Shard, int]:
        """Return the end offset of every changelog of these partitions."""
        places = self._places(partitions)
        return {self._shard(place): end for place, end in (await self._reader.end_offsets(places)).items()}

    async def restore(self, partitions: Iterable[int], tables: Tables) -> int:
        """Fill `tables` for these partitions and own their changelogs; return the number of rows."""
        places = self._places(partitions)
        if not places:
            return 0
        folds = {place: ChangelogFold() for place in places}
        self._reader.assign(places)
        await self._reader.seek_to_beginning(*places)
        await self._read(await self._reader.end_offsets(places), folds)
        await self._mark(places, folds)
        for place, fold in folds.items():
            table, partition = self._shard(place)
            for key, row in fold.rows.items():
                tables.put(table, partition, key, row)
            overwritten = {(table, partition, key): fold.rows.get(key) for key in fold.overwritten}
            if overwritten:
                await self._changelogs.write(overwritten)
        return sum(len(fold.rows) for fold in folds.values())

    async def _mark(self, places: list[TopicPartition], folds: dict[TopicPartition, ChangelogFold]) -> None:
        """Write markers and read on to them; where another worker's came in between, again and higher."""
        unmarked = places
        while unmarked:
            epochs = {place: folds[place].highest + 1 for place in unmarked}
            offsets = await self._log.append([self._marker(place, epochs[place]) for place in unmarked])
            seen = {place: len(folds[place].markers) for place in unmarked}
            await self._read({place: at + 1 for place, at in zip(unmarked, offsets, strict=True)}, folds)
            for place, at in zip(unmarked, offsets, strict=True):
                self._changelogs.own(self._shard(place), epochs[place], at)
            unmarked = [p for p in unmarked if not self._first_is_mine(folds[p], seen[p])]

    def _first_is_mine(self, fold: ChangelogFold, seen: int) -> bool:
        return fold.markers[seen].incarnation == self._incarnation

    def _marker(self, place: TopicPartition, owner_epoch: int) -> Outgoing:
        marker = encode(OwnerMarker(owner_epoch, self._incarnation))
        return Outgoing(place.topic, place.partition, MARKER_KEY, marker, headers_of({names.OWNER_EPOCH: owner_epoch}))

    async def _read(self, ends: dict[TopicPartition, int], folds: dict[TopicPartition, ChangelogFold]) -> None:
        await read_to(self._reader, ends, lambda r: take(folds[TopicPartition(r.topic, r.partition)], r))

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(topic, p) for p in sorted(partitions) for topic in self._changelogs.topics.values()]

    def _shard(self, place: TopicPartition) -> Shard:
        return self._table_of[place.topic], place.partition


async def read_to(
    reader: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], each: Callable[[ConsumerRecord], None]
) -> None:
    """Read on to `ends`, record by record; raise `EngineFailure` when nothing comes for too long: never a silent half."""
    behind = {place for place, end in ends.items() if await reader.position(place) < end}
    last = time.monotonic()
    while behind:
        for records in (await reader.getmany(timeout_ms=500, max_records=5000)).values():
            last = time.monotonic()
            for record in records:
                each(record)
        behind = {place for place in behind if await reader.position(place) < ends[place]}
        if behind and time.monotonic() - last > STALLED_S:
            raise EngineFailure(f"nothing read for {STALLED_S} s, still to come: {sorted(map(str, behind))}")


def take(fold: ChangelogFold, record: ConsumerRecord, below: int | None = None) -> None:
    """Feed a consumed changelog record to `fold`; with `below` only what was written under a lower owner epoch, and markers.

    Raises:
        UndecodableRecord: it is no row.
    """
    where, said = f"{record.topic}/{record.partition}/{record.offset}", header(record.headers, names.OWNER_EPOCH) or "0"
    try:
        owner_epoch = int(said)
    except ValueError:
        raise UndecodableRecord(f"{where}: owner epoch {said!r} is no number") from None
    if below is not None and owner_epoch == below and record.key != MARKER_KEY:
        return
    fold.take(record.key or b"", record.value, owner_epoch, where)
