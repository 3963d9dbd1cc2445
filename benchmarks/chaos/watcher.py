"""The watcher: reads every result as it comes, from outside and without a group."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import orjson
from aiokafka import AIOKafkaConsumer

Result = tuple[float, str]
"""When it was seen (epoch seconds) and the run's status."""


class Watcher:
    """Results by run id, in the order in which they were seen."""

    def __init__(self, bootstrap: str, workflows: Sequence[str]) -> None:
        self.results: defaultdict[str, list[Result]] = defaultdict(list)
        self.seen = 0
        self._bootstrap = bootstrap
        self._topics = [f"{workflow}.output" for workflow in workflows]

    async def run(self) -> None:
        """Read until cancelled."""
        consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        try:
            while True:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        self._take(record.key, record.value)
        finally:
            await consumer.stop()

    def _take(self, key: bytes, value: bytes) -> None:
        self.seen += 1
        self.results[key.decode()].append((time.time(), orjson.loads(value)["status"]))
