"""Kafka clients and a log whose records are as the program has them on this side, and as a registry's readers know them on the other.

Encryption is further out: a record is opened before it is read by its schema, and sealed after it was written by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from schemas import headers as names
from schemas.quick import replace
from streams.consumer import Consumer
from streams.engine.log import Log, Outgoing
from streams.engine.wire import Batch, Wire
from streams.sealing.clients import OpeningConsumer, SealingProducer

HEADERS = 3
"""The headers' place behind topic and value."""


class _Reads:
    """What a consumer does besides."""

    def __init__(self, *rest: Any, wire: Wire, **settings: Any) -> None:
        super().__init__(*rest, **settings)
        self._wire = wire
        self._grouped = settings.get("group_id") is not None

    async def getmany(self, *places: TopicPartition, **limits: Any) -> Batch:
        """Fetch, then ask the registry for what is not known."""
        fetched = await super().getmany(*places, **limits)  # type: ignore[misc]
        batch = await self._wire.received(self, fetched, results=not self._grouped)
        if not self._grouped:
            self._wire.raise_if_away()
        return batch


class WireConsumer(_Reads, Consumer):
    """A consumer with a registry."""


class WireOpeningConsumer(_Reads, OpeningConsumer):
    """A consumer with a registry, of what may be encrypted."""


class _Sends:
    """What a producer does besides."""

    def __init__(self, *rest: Any, wire: Wire, **settings: Any) -> None:
        super().__init__(*rest, **settings)
        self._wire = wire

    async def send(self, topic: str, value: bytes | None = None, *rest: Any, **named: Any) -> Any:
        """Send a record in the registry's format; what stands for an input kept elsewhere stays JSON."""
        headers = named.get("headers") or (rest[HEADERS] if len(rest) > HEADERS else None) or ()
        if not any(name == names.CLAIM for name, _ in headers):
            value = await self._wire.published(topic, value)
        return await super().send(topic, value, *rest, **named)  # type: ignore[misc]


class WireProducer(_Sends, AIOKafkaProducer):  # type: ignore[misc]
    """A producer with a registry."""


class WireSealingProducer(_Sends, SealingProducer):
    """A producer with a registry, of what is encrypted."""


class WireLog:
    """A log with a registry."""

    def __init__(self, inner: Log, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append records; return their offsets once every one is acknowledged."""
        out = self._wire.out
        return await self._inner.append([replace(r, value=out(r.topic, r.value)) for r in records])
