"""The feeder: publishes runs at a steady rate through whatever happens, and knows which of them were acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

TEXT = "Every record keeps its place in the stream. " * 20
PATIENT_MS = 300_000
"""How long a record may wait for a broker that is away."""


@dataclass(slots=True)
class Published:
    """When each run was sent and acknowledged (epoch seconds), by run id."""

    sent: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    workflow: dict[str, str] = field(default_factory=dict)
    sent_again: set[str] = field(default_factory=set)
    """Runs whose first sending failed, perhaps only seemingly: the same input of the same run is one run."""


class Feeder:
    """Publishes to several workflows in turn."""

    def __init__(self, bootstrap: str, workflows: Sequence[str]) -> None:
        self.published = Published()
        self._workflows = workflows
        self._bootstrap = bootstrap

    async def run(self, rate: float, seconds: float, runs: int | None) -> None:
        """Publish for `seconds`, or `runs` if that is given; return when everything is acknowledged."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, enable_idempotence=True, request_timeout_ms=PATIENT_MS
        )
        await producer.start()
        try:
            async with asyncio.TaskGroup() as group:
                began = time.monotonic()
                for number in range(runs or int(seconds * rate)):
                    await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                    group.create_task(self._publish(producer, number))
        finally:
            await producer.stop()

    async def _publish(self, producer: AIOKafkaProducer, number: int) -> None:
        workflow = self._workflows[number % len(self._workflows)]
        run_id = f"{workflow}-{number:06d}"
        value = orjson.dumps({"number": number, "text": f"{number}: {TEXT}"})
        self.published.workflow[run_id] = workflow
        self.published.sent[run_id] = time.time()
        while True:
            try:
                await producer.send_and_wait(f"{workflow}.input", value, key=run_id.encode())
            except KafkaError:
                self.published.sent_again.add(run_id)
            else:
                self.published.acknowledged[run_id] = time.time()
                return
