"""Kafka clients that seal what they send and open what they read; made by `engine/clients.py` where encryption is on."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from schemas.headers import Headers
from streams.consumer import Consumer
from streams.sealing.keyring import Keyring
from streams.sealing.records import open_, seal


class SealingProducer(AIOKafkaProducer):  # type: ignore[misc]
    """A producer of encrypted records. What goes by a batch that is made by hand is sealed by its maker, with `sealed`."""

    def __init__(self, keyring: Keyring, **settings: Any) -> None:
        super().__init__(**settings)
        self._keyring = keyring

    def sealed(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> tuple[bytes | None, Headers]:
        """Return value and headers as they go on the wire."""
        return seal(self._keyring, topic, key, value, headers)

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> asyncio.Future[Any]:
        """Send a record, as aiokafka does, sealed."""
        value, kept = self.sealed(topic, key, value, tuple(headers or ()))
        found: asyncio.Future[Any] = await super().send(topic, value, key, partition, timestamp_ms, list(kept))
        return found


class OpeningConsumer(Consumer):
    """A consumer that hands on what was sealed; with a keyring without keys it says which key is missing."""

    def __init__(self, keyring: Keyring, **settings: Any) -> None:
        super().__init__(**settings)
        self._keyring = keyring

    async def getmany(self, *places: TopicPartition, **how: Any) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return what aiokafka's does, opened."""
        batch: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(*places, **how)
        for records in batch.values():
            for record in records:
                open_(self._keyring, record)
        return batch

    async def getone(self, *places: TopicPartition) -> ConsumerRecord:
        """Return what aiokafka's does, opened."""
        record = await super().getone(*places)
        open_(self._keyring, record)
        return record
