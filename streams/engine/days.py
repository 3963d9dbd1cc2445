"""What other workers' partitions have spent today: the ledger's changelog, followed by everybody (`daily_budget`).

It is behind by what is on its way and blind for what others have just reserved: a day's budget may be overshot by the calls
in flight of other workers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import CodecError, decode
from schemas.records import DayRow
from streams.core.ledger import DAY, Cost, taken
from streams.engine.restore import read_to
from streams.engine.tables import Tables

log = structlog.get_logger(__name__)

AGAIN_S = 1.0


class Days:
    """Today's row of every partition of the ledger, read from the changelog by a reader of its own."""

    def __init__(self, reader: AIOKafkaConsumer, topic: str, partitions: int, tables: Tables) -> None:
        self._reader = reader
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._tables = tables
        self._rows: dict[tuple[int, str], DayRow] = {}

    def elsewhere(self, day: str) -> Cost:
        """Return what partitions that are not held here have taken of the day's budget."""
        held, total = self._tables.partitions(), Cost()
        for (partition, of), row in self._rows.items():
            if of == day and partition not in held:
                total = total.plus(taken(row))
        return total

    async def load(self) -> None:
        """Read from the beginning of the day, as the clock has it here, to the end."""
        self._reader.assign(self._places)
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        starts: Mapping[TopicPartition, object] = await self._reader.offsets_for_times(
            dict.fromkeys(self._places, int(midnight.timestamp() * 1000))
        )
        ends = await self._reader.end_offsets(self._places)
        for place in self._places:
            found = starts.get(place)
            self._reader.seek(place, ends[place] if found is None else found.offset)  # type: ignore[attr-defined]
        await read_to(self._reader, ends, self._take)

    async def follow(self) -> None:
        """Read on for ever; a broker that is away is waited for."""
        while True:
            try:
                for records in (await self._reader.getmany(timeout_ms=500)).values():
                    for record in records:
                        self._take(record)
            except KafkaError as error:
                log.info("the day's spending is not read", reason=repr(error))
                await asyncio.sleep(AGAIN_S)

    def _take(self, record: ConsumerRecord) -> None:
        if record.value is None or not (record.key or b"").startswith(DAY.encode()):
            return
        try:
            row = decode(record.value)
        except CodecError:
            return  # whoever owns the partition stops on it
        if isinstance(row, DayRow):
            self._rows[(record.partition, row.day)] = row
            self._rows = {key: old for key, old in self._rows.items() if key[1] >= row.day}
