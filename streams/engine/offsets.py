"""Offsets to commit: what was applied, and up to where the workflow's own results are known to stand."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

log = structlog.get_logger(__name__)


class Offsets:
    """Collects offsets of applied batches and commits them every `interval_ms`."""

    def __init__(self, consumer: AIOKafkaConsumer, interval_ms: int, clock: Callable[[], int]) -> None:
        self._consumer = consumer
        self._interval_ms = interval_ms
        self._clock = clock
        self._next = 0
        self._applied: dict[TopicPartition, int] = {}
        self._highest: dict[TopicPartition, int] = {}

    def applied(self, place: TopicPartition, offset: int) -> None:
        """Note that everything below `offset` is applied and durable; a position never goes back while the partition is ours."""
        if offset > self._highest.get(place, 0):
            self._applied[place] = self._highest[place] = offset

    def forget(self) -> None:
        """Drop what was not committed: the partitions are no longer ours."""
        self._applied.clear()
        self._highest.clear()

    async def commit_if_due(self) -> None:
        """Commit when the interval is over."""
        if self._applied and self._clock() >= self._next:
            await self.commit()

    async def commit(self) -> None:
        """Commit what was applied; a commit that fails is repeated with the next, or is the next owner's."""
        self._next = self._clock() + self._interval_ms
        offsets, self._applied = self._applied, {}
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets not committed, the partitions moved", reason=str(error))
        except KafkaError as error:
            log.warning("offsets not committed, will be with the next ones", error=repr(error))
            self._applied = offsets | self._applied
