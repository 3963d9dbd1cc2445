"""The states of a worker's breakers, told to whoever asks: `penstock providers` is another process than any worker.

Each change is a record of the compacted topic `penstock.providers`, keyed by provider, model and worker. It is made when a
breaker first opens; while all are closed there is nothing to tell.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.codec import dumps
from streams.engine.clients import producer_of, start, stop
from streams.engine.config import EngineConfig
from streams.engine.topics import ensure_provider_states
from streams.errors import PenstockError
from streams.providers.gate import BreakerChange
from topology.naming import provider_states_topic

log = structlog.get_logger(__name__)


class ProviderStates:
    """Publishes breaker changes of one worker. What fails here is logged: it informs, and nothing depends on it."""

    def __init__(self, config: EngineConfig, worker: str) -> None:
        self._config = config
        self._worker = worker
        self._changes: asyncio.Queue[BreakerChange] = asyncio.Queue()
        self._producer: AIOKafkaProducer | None = None
        self._told: set[str] = set()

    def on_change(self, change: BreakerChange) -> None:
        """Take note of a change, to be published."""
        self._changes.put_nowait(change)

    async def run(self) -> None:
        """Publish changes until cancelled; then take back what this worker told."""
        try:
            while True:
                change = await self._changes.get()
                await self._publish(self._key(change), self._value(change))
        finally:
            for key in self._told.copy():
                await self._publish(key, None)
            if self._producer is not None:
                await stop(self._producer)

    async def _publish(self, key: str, value: dict[str, Any] | None) -> None:
        try:
            if self._producer is None:
                await ensure_provider_states(self._config)
                producer = producer_of(self._config)
                await start(producer, self._config.bootstrap)
                self._producer = producer
            body = None if value is None else dumps(value).encode()
            async with asyncio.timeout(self._config.request_timeout_ms / 1000):
                await self._producer.send_and_wait(provider_states_topic(), body, key=key.encode())
            self._told.add(key)
        except (KafkaError, PenstockError, TimeoutError) as error:
            log.info("a breaker's state is not published", reason=repr(error))

    def _key(self, change: BreakerChange) -> str:
        return f"{change.provider}/{change.model}/{self._worker}"

    def _value(self, change: BreakerChange) -> dict[str, Any]:
        return {
            "provider": change.provider,
            "model": change.model,
            "state": change.state,
            "since": change.since,
            "until": change.until,
            "why": change.why,
            "worker": self._worker,
        }
