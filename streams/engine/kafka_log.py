"""The log on Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from streams.engine.log import Outgoing


class KafkaLog:
    """Appends by one idempotent producer; records of one partition keep their order."""

    def __init__(self, producer: AIOKafkaProducer, delivery_timeout_ms: int) -> None:
        self._producer = producer
        self._delivery_timeout_s = delivery_timeout_ms / 1000

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append `records`; return their offsets once every one is acknowledged."""
        waiting = [await self._enqueue(record) for record in records]
        return [found.offset for found in await asyncio.gather(*waiting)]

    async def _enqueue(self, r: Outgoing) -> asyncio.Future[Any]:
        """Hand a record to the producer; while its buffer is full (no broker), wait for room: nothing was taken yet."""
        last = time.monotonic() + self._delivery_timeout_s
        while True:
            try:
                headers = list(r.headers)
                future: asyncio.Future[Any] = await self._producer.send(
                    r.topic, r.value, key=r.key, partition=r.partition, headers=headers
                )
                return future
            except KafkaTimeoutError:
                if time.monotonic() > last:
                    raise
