"""The log on Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from streams.engine.log import Outgoing


class KafkaLog:
    """Appends by one idempotent producer; records of one partition keep their order."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append `records`; return their offsets once every one is acknowledged."""
        waiting = [
            await self._producer.send(r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers))
            for r in records
        ]
        return [found.offset for found in await asyncio.gather(*waiting)]
