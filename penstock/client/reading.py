"""Read partitions from where one likes, to where they ended or for as long as one likes."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from penstock.client.times import Begin
from schemas import headers as names
from schemas.headers import header
from streams.errors import BrokerUnreachable

POLL_MS = 500
SILENT_MS = 30_000
"""How long a broker may give nothing though there is something."""
REMEMBERED = 100_000
"""Ids of results kept to drop repeats: a repeat comes from a crash, so it stands near the first."""


def places_of(topic: str, count: int) -> list[TopicPartition]:
    """Return every partition of `topic`."""
    return [TopicPartition(topic, partition) for partition in range(count)]


async def begin(reader: AIOKafkaConsumer, places: list[TopicPartition], where: Begin) -> None:
    """Assign `places` and go to `where`."""
    reader.assign(places)
    if where == "earliest":
        await reader.seek_to_beginning(*places)
    elif where == "latest":
        await at_end(reader, places)
    else:
        found = await reader.offsets_for_times(dict.fromkeys(places, int(where)))
        ends = await reader.end_offsets(places)
        for place in places:
            at = found.get(place)
            reader.seek(place, ends[place] if at is None else at.offset)


async def at_end(reader: AIOKafkaConsumer, places: list[TopicPartition]) -> None:
    """Go to the ends as they are now: fixed at once, not at the first fetch, which would miss what comes in between."""
    for place, end in (await reader.end_offsets(places)).items():
        reader.seek(place, end)


async def to_end(reader: AIOKafkaConsumer, places: list[TopicPartition]) -> AsyncIterator[ConsumerRecord]:
    """Yield what is in `places` from the beginning to the ends as they are now."""
    if not places:
        return
    reader.assign(places)
    await reader.seek_to_beginning(*places)
    async for record in on_to_end(reader, places):
        yield record


async def on_to_end(reader: AIOKafkaConsumer, places: list[TopicPartition]) -> AsyncIterator[ConsumerRecord]:
    """Yield what is in the assigned `places` from where the reader stands to the ends as they are now."""
    if not places:
        return
    async for record in _to(reader, await reader.end_offsets(places)):
        yield record


async def among(reader: AIOKafkaConsumer, positions: Iterable[tuple[str, int, int]]) -> AsyncIterator[ConsumerRecord]:
    """Yield records from the first to the last of `positions` (topic, partition, offset) in each partition, as far as they are left."""
    offsets: defaultdict[TopicPartition, list[int]] = defaultdict(list)
    for topic, partition, offset in positions:
        offsets[TopicPartition(topic, partition)].append(offset)
    if not offsets:
        return
    places = sorted(offsets)
    begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    reader.assign(places)
    for place in places:
        reader.seek(place, min(max(min(offsets[place]), begins[place]), ends[place]))
    async for record in _to(reader, {place: min(max(offsets[place]) + 1, ends[place]) for place in places}):
        yield record


async def _to(reader: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    places = list(ends)
    behind = {place for place in places if await reader.position(place) < ends[place]}
    idle = 0
    while behind:
        batch = await reader.getmany(timeout_ms=POLL_MS, max_records=5000)
        idle = 0 if batch else idle + POLL_MS
        if idle >= SILENT_MS:
            raise BrokerUnreachable(f"the Kafka broker gave no records for {idle // 1000} s: is it overloaded or gone?")
        for records in batch.values():
            for record in records:
                yield record
        behind = {place for place in behind if await reader.position(place) < ends[place]}


async def forever(reader: AIOKafkaConsumer) -> AsyncIterator[ConsumerRecord]:
    """Yield what comes in the assigned partitions, without end."""
    while True:
        for records in (await reader.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                yield record


class Repeats:
    """Tells a record that was seen already by its `ce_id`; one without an id is always new."""

    def __init__(self, seen: Iterable[str] = ()) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict.fromkeys(seen)

    def is_new(self, record: ConsumerRecord) -> bool:
        """Say whether the record is none that was seen, and remember it."""
        ce_id = header(record.headers, names.CE_ID)
        if ce_id is None:
            return True
        if ce_id in self._seen:
            return False
        self._seen[ce_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True
