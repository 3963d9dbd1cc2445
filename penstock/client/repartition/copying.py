"""Reading a topic in order of time over all of its partitions, and writing records as they are: key, value, headers, timestamp."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from penstock.client import reading
from penstock.client.repartition.rows import Outgoing
from streams.engine.clients import reader_of, start, stop
from streams.engine.config import EngineConfig
from streams.errors import BrokerUnreachable, EngineFailure

AT_ONCE = 2_000
"""Records under way before the first is waited for."""
FETCHED = 500


@asynccontextmanager
async def reader(config: EngineConfig) -> AsyncIterator[AIOKafkaConsumer]:
    """Connect a consumer that does not wait for more where there is nothing: nobody writes to what is copied."""
    client = reader_of(config, fetch_max_wait_ms=5)
    await start(client, config.bootstrap)
    try:
        yield client
    finally:
        await stop(client)


class Source:
    """One partition, read ahead a little."""

    def __init__(self, reader: AIOKafkaConsumer, place: TopicPartition, end: int) -> None:
        self._reader, self.place, self._end = reader, place, end
        self._ahead: deque[ConsumerRecord] = deque()

    async def next(self) -> ConsumerRecord | None:
        """Return the next record, None at the end."""
        idle = 0
        while not self._ahead:
            if await self._reader.position(self.place) >= self._end:
                return None
            batch = await self._reader.getmany(self.place, timeout_ms=reading.POLL_MS, max_records=FETCHED)
            self._ahead.extend(record for record in batch.get(self.place, ()) if record.offset < self._end)
            idle = 0 if batch else idle + reading.POLL_MS
            if idle >= reading.SILENT_MS:
                raise BrokerUnreachable(f"{self.place.topic}/{self.place.partition}: nothing read for {idle // 1000} s")
        return self._ahead.popleft()


async def by_time(reader: AIOKafkaConsumer, topic: str, ends: Mapping[int, int]) -> AsyncIterator[ConsumerRecord]:
    """Yield the records of a topic up to `ends`: each partition in its order, and among partitions the oldest first."""
    places = [TopicPartition(topic, partition) for partition in ends]
    reader.assign(places)
    await reader.seek_to_beginning(*places)
    sources = [Source(reader, place, ends[place.partition]) for place in places]
    heads: list[tuple[int, int, ConsumerRecord]] = []
    for index, source in enumerate(sources):
        await _push(heads, index, source)
    while heads:
        _, index, record = heapq.heappop(heads)
        yield record
        await _push(heads, index, sources[index])


async def _push(heads: list[tuple[int, int, ConsumerRecord]], index: int, source: Source) -> None:
    record = await source.next()
    if record is not None:
        heapq.heappush(heads, (record.timestamp, index, record))


class Writer:
    """Writes to one topic that nobody else writes to, and knows how much."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer, self._topic = producer, topic
        self._waiting: list[asyncio.Future[object]] = []
        self.written: Counter[int] = Counter()

    async def write(self, one: Outgoing) -> None:
        """Send a record."""
        sent = await self._producer.send(
            self._topic,
            one.value,
            key=one.key,
            partition=one.partition,
            timestamp_ms=one.timestamp,
            headers=list(one.headers),
        )
        self._waiting.append(sent)
        self.written[one.partition] += 1
        if len(self._waiting) >= AT_ONCE:
            await self.flush()

    async def flush(self) -> None:
        """Wait until all is acknowledged."""
        waiting, self._waiting = self._waiting, []
        await asyncio.gather(*waiting)

    async def check(self, reader: AIOKafkaConsumer, count: int) -> dict[int, int]:
        """Return the ends of the topic's partitions; raise `EngineFailure` unless they are what was written, no more and no less."""
        await self.flush()
        ends = (await ends_of(reader, {self._topic: count}))[self._topic]
        wrong = {partition: end for partition, end in ends.items() if end != self.written[partition]}
        if wrong:
            partition, end = next(iter(wrong.items()))
            raise EngineFailure(
                f"{self._topic}/{partition} has {end} records, {self.written[partition]} were written: does somebody else write "
                "there? Nothing is lost; give the same command again"
            )
        return ends


async def ends_of(reader: AIOKafkaConsumer, counts: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Return where the partitions of topics end, by topic; `counts` has how many each has."""
    found: dict[str, dict[int, int]] = {topic: {} for topic in counts}
    places = [place for topic, count in counts.items() for place in reading.places_of(topic, count)]
    for place, end in (await reader.end_offsets(places)).items():
        found[place.topic][place.partition] = end
    return found
