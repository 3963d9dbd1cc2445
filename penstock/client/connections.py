"""Short-lived Kafka clients: connected for the length of a `with`, closed at its end, and never waited for without limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.engine.clients import producer_of, reader_of, start
from streams.engine.config import EngineConfig
from streams.errors import BrokerUnreachable
from streams.sealing.keyring import Keyring

ANSWER_WITHIN_S = 30.0
"""How long a broker that accepted a connection may take for one question."""

CLOSE_WITHIN_S = 5.0


@asynccontextmanager
async def answering(config: EngineConfig) -> AsyncIterator[None]:
    """Limit what is inside to a broker's patience; raise `BrokerUnreachable` when it is over."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            yield
    except TimeoutError:
        raise BrokerUnreachable(
            f"the Kafka broker at {config.bootstrap} gave no answer within {ANSWER_WITHIN_S:.0f} s: is it overloaded or gone?"
        ) from None


@asynccontextmanager
async def reader(config: EngineConfig) -> AsyncIterator[AIOKafkaConsumer]:
    """Connect a consumer without a group; where a record is encrypted and no key is set, it says so."""
    watchful = config if config.sealing is not None else replace(config, sealing=Keyring())
    async with _started(reader_of(watchful), config) as client:
        yield client


@asynccontextmanager
async def producer(config: EngineConfig) -> AsyncIterator[AIOKafkaProducer]:
    """Connect an idempotent producer that gives up on a silent broker as soon as everything else here does."""
    impatient = replace(config, delivery_timeout_ms=int(ANSWER_WITHIN_S * 1000))
    async with _started(producer_of(impatient, linger_ms=5), config) as started:
        yield started


@asynccontextmanager
async def _started(client: Any, config: EngineConfig) -> AsyncIterator[Any]:
    await start(client, config.bootstrap)
    try:
        yield client
    finally:
        await _stop(client)


async def _stop(client: Any) -> None:
    """Stop a client; a cancellation that aiokafka itself lets out when its broker is gone is not ours."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await client.stop()
    except TimeoutError:
        pass  # its broker is gone; what it still held was not acknowledged, and nobody was told that it was
    except asyncio.CancelledError:
        if task is not None and task.cancelling() > before:
            raise
