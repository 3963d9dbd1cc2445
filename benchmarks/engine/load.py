"""Runs in a closed loop: so many are in flight at any time, a new one begins when a result is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

STUCK_S = 120


@dataclass(slots=True)
class Load:
    """Starts runs of a workflow and reads their results."""

    workflow: str
    value: bytes
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    results: int = 0
    failed: int = 0
    _sent: int = 0
    _pending: set[asyncio.Future[object]] = field(default_factory=set)

    async def run(self, runs: int, in_flight: int, warm: int = 0, on_warm: Callable[[], None] | None = None) -> float:
        """Have `runs` runs done, `in_flight` at a time; return the seconds from the result number `warm` to the last."""
        first, began = self.results, time.perf_counter()
        last = first + runs
        target = self._sent + runs
        await self._send(min(in_flight, runs))
        while self.results < last:
            got = await self._read()
            if warm and self.results - first >= warm:
                began, warm = time.perf_counter(), 0
                if on_warm is not None:
                    on_warm()
            await self._send(min(got, target - self._sent))
        return time.perf_counter() - began

    async def alone(self, runs: int, pause_s: float) -> list[float]:
        """Return the seconds that each of `runs` runs took, one after the other."""
        took = []
        for _ in range(runs):
            began = time.perf_counter()
            await self._send(1)
            await self._read()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(pause_s)
        return took

    async def read_until(self, feeding: asyncio.Task[int]) -> int:
        """Read results of what `feeding` publishes until there is one for each; return how many."""
        while not feeding.done() or self.results < feeding.result():
            await self._read()
        return self.results

    async def _send(self, count: int) -> None:
        for _ in range(count):
            self._sent += 1
            sent = await self.producer.send(f"{self.workflow}.input", self.value, key=f"run-{self._sent}".encode())
            self._pending.add(sent)
            sent.add_done_callback(self._pending.discard)

    async def _read(self) -> int:
        """Return how many results have come, at least one."""
        until, got = time.monotonic() + STUCK_S, 0
        while not got:
            if time.monotonic() > until:
                raise SystemExit(f"no result for {STUCK_S} s: {self.results} of {self._sent} have come")
            for records in (await self.consumer.getmany(timeout_ms=1000)).values():
                got += len(records)
                self.failed += sum(b'"status":"success"' not in record.value for record in records)
        self.results += got
        return got


@asynccontextmanager
async def load(bootstrap: str, workflow: str, value: bytes) -> AsyncIterator[Load]:
    """Open a load on a workflow whose topics exist."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=0, max_request_size=8_000_000)
    consumer = AIOKafkaConsumer(
        f"{workflow}.output", bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=100
    )
    await producer.start()
    await consumer.start()
    try:
        yield Load(workflow, value, producer, consumer)
    finally:
        await consumer.stop()
        await producer.stop()
