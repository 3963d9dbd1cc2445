"""Results already in the output topic: after a crash they are not written again (PROTOCOL.md 2).

The group commits a position in the output topic beside those it consumes: up to there every result is known to a durable
row. What stands behind it was written by a batch whose rows may be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas import headers as names
from schemas.headers import header
from streams.engine.log import Outgoing
from streams.engine.restore import read_to


class WrittenResults:
    """The ids of results behind the committed position of the output partitions being taken over."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._written: dict[int, set[str]] = {}
        self._ends: dict[int, int] = {}

    async def load(
        self, reader: AIOKafkaConsumer, partitions: Iterable[int], committed: Mapping[TopicPartition, int]
    ) -> None:
        """Read each partition from its `committed` position to its end."""
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        ends: dict[TopicPartition, int] = await reader.end_offsets(places) if places else {}
        starts = await reader.beginning_offsets(places) if places else {}
        begin = {place: max(committed.get(place, 0), starts[place]) for place in places}
        behind = {place for place in places if begin[place] < ends[place]}
        self._written = {place.partition: set() for place in places}
        self._ends = {place.partition: end for place, end in ends.items()}
        if not behind:
            return
        reader.assign(list(behind))
        for place in behind:
            reader.seek(place, begin[place])
        await read_to(reader, {place: ends[place] for place in behind}, self._note)

    def _note(self, record: ConsumerRecord) -> None:
        self._written[record.partition].add(header(record.headers, names.CE_ID) or "")

    def caught_up(self, partition: int) -> int:
        """Forget a partition's ids: whatever led to them has been read again. Return up to where results are known now.

        Were that not committed, the position of a partition with no further result would stay behind for good.
        """
        self._written.pop(partition, None)
        return self._ends.pop(partition, 0)

    def not_written(self, sends: Sequence[Outgoing]) -> list[Outgoing]:
        """Return `sends` without results that are in the topic already."""
        if not any(self._written.values()):
            return list(sends)
        return [send for send in sends if not self._is_written(send)]

    def _is_written(self, send: Outgoing) -> bool:
        ids = self._written.get(send.partition) if send.topic == self._topic and send.partition is not None else None
        return bool(ids) and header(send.headers, names.CE_ID) in (ids or ())
