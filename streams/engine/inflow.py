"""What comes in: the records that are fetched, and before that this worker's own; each once, in the order of its partition."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.core.inbound import Inbound
from streams.engine.loopback import Loopback
from streams.engine.positions import Positions

Batch = Mapping[TopicPartition, Sequence[Inbound]]


class Inflow:
    """One consumer's fetches, and a loopback. Whoever takes a batch handles it, and says so to `positions`, before it takes the next."""

    def __init__(
        self, consumer: AIOKafkaConsumer, positions: Positions, loopback: Loopback, fetch_ms: int, most: int
    ) -> None:
        self._consumer = consumer
        self._positions = positions
        self._loopback = loopback
        self._limits = {"timeout_ms": fetch_ms, "max_records": most}
        self._fetching: asyncio.Task[Mapping[TopicPartition, Sequence[ConsumerRecord]]] | None = None

    async def wait(self, ms: int) -> None:
        """Wait until there is something to take, at most `ms`."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._consumer.getmany(**self._limits))
        arrived = self._loopback.arrived
        await asyncio.wait((self._fetching, arrived), timeout=ms / 1000, return_when=asyncio.FIRST_COMPLETED)

    def take(self, but: str | None = None) -> Batch:
        """Return what is there and was not handled yet; what `wait` did not fetch of the topic `but` stays where it is."""
        batch: dict[TopicPartition, list[Inbound]] = {}
        for place, records in self._fetched().items():
            handled = self._positions.next.get(place, 0)
            if found := [_inbound(record) for record in records if record.offset >= handled]:
                batch[place] = found
        for place in self._loopback.take(batch, but):
            self._consumer.seek(place, batch[place][-1].offset + 1)  # it need not be fetched any more
        return batch

    async def reached(self, place: TopicPartition) -> int:
        """Return up to where a place was handled; a gap that a transaction leaves at its end is passed by the fetch alone."""
        handled = self._positions.next.get(place, 0)
        return handled if self._fetching is not None else max(handled, await self._consumer.position(place))

    async def drop(self) -> None:
        """Forget what was not taken: it is fetched again from where a takeover begins."""
        self._loopback.clear()
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    def _fetched(self) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        if self._fetching is None or not self._fetching.done():
            return {}
        fetched, self._fetching = self._fetching.result(), None
        return fetched


def _inbound(record: ConsumerRecord) -> Inbound:
    return Inbound(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(record.headers),
    )
