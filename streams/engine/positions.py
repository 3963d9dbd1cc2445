"""Where a group goes on reading: never silently at the beginning, and never past records that retention has eaten (PROTOCOL.md 12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.engine.committed import committed_of
from streams.errors import PositionLost

log = structlog.get_logger(__name__)


class Positions:
    """The next offset of every assigned partition."""

    def __init__(self, consumer: AIOKafkaConsumer, group: str, run_topic: str, resume_from_ms: int | None) -> None:
        self._consumer = consumer
        self._group = group
        self._run_topic = run_topic
        self._resume_from_ms = resume_from_ms
        self._next: dict[TopicPartition, int] = {}

    async def take_over(self, places: Iterable[TopicPartition]) -> None:
        """Check the committed positions of what was assigned, and commit them: only a member of the group can.

        Raises:
            PositionLost: a position is gone, or points to records that are.
        """
        places = list(places)
        begins: dict[TopicPartition, int] = await self._consumer.beginning_offsets(places) if places else {}
        committed = await committed_of(self._consumer, self._group, places)
        gone = [place for place, at in committed.items() if at is not None and at < begins[place]]
        if gone:
            raise self._eaten(gone[0], committed[gone[0]] or 0, begins[gone[0]])
        new = [place for place, at in committed.items() if at is None]
        starts = await self._starts(new, begins)
        self._next = {place: starts[place] if at is None else at for place, at in committed.items()}
        for place, at in self._next.items():
            self._consumer.seek(place, at)  # wherever aiokafka began by itself, see committed.py
        if self._next:
            await self._consumer.commit(self._next)

    @property
    def next(self) -> Mapping[TopicPartition, int]:
        """The next offset to read of every assigned place."""
        return self._next

    async def check(self, batch: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """Raise `PositionLost` if records before a batch were deleted before anybody read them."""
        for place, records in batch.items():
            expected = self._next.get(place, 0)
            if (
                records[0].offset > expected
            ):  # a transaction's marker leaves a gap, too; deleted records move the beginning
                begin = (await self._consumer.beginning_offsets([place]))[place]
                if begin > expected:
                    raise self._eaten(place, expected, begin)
            self._next[place] = records[-1].offset + 1

    async def _starts(
        self, places: Sequence[TopicPartition], begins: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        if not places:
            return {}
        ends = await self._consumer.end_offsets(places)
        if self._resume_from_ms is not None:
            times = await self._consumer.offsets_for_times(dict.fromkeys(places, self._resume_from_ms))
            return {place: found.offset if (found := times[place]) else ends[place] for place in places}
        for place in places:
            if place.topic == self._run_topic and ends[place] > begins[place]:
                raise PositionLost(
                    f"{place.topic}/{place.partition} holds runs, but the group has no committed position: it expired, or "
                    "was deleted. Reading from the beginning could make every call again; say where to go on with "
                    "--resume-from TIME (or --resume-from earliest)"
                )
        return {place: begins[place] for place in places}

    def _eaten(self, place: TopicPartition, expected: int, begin: int) -> PositionLost:
        return PositionLost(
            f"{place.topic}/{place.partition}: records {expected} to {begin - 1} were deleted by retention before they were "
            f"read. Lengthen the topic's retention; to go on without them delete the group's offset of this partition and "
            "start with --resume-from TIME"
        )
