"""What processes used: CPU seconds, memory, open files, as the kernel counts them; and what topics hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds (user and system), resident MB and open files of some processes."""

    cpu_s: float
    rss_mb: float
    files: int

    def since(self, before: Used) -> float:
        """Return the CPU seconds used since."""
        return self.cpu_s - before.cpu_s


def used(pids: Sequence[int]) -> Used:
    """Return what processes have used so far, together."""
    processes = [psutil.Process(pid) for pid in pids]
    times = [process.cpu_times() for process in processes]
    return Used(
        sum(spent.user + spent.system for spent in times),
        sum(process.memory_info().rss for process in processes) / 1e6,
        sum(process.num_fds() for process in processes),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """Records ever appended to a workflow's topics (changelogs too), and the bytes that their segments take."""

    records: int
    bytes: int


async def held(bootstrap: str, workflow: str, data: Path) -> Held:
    """Return what the topics of `workflow` hold; `data` is the broker's folder."""
    ours = (f"{workflow}.", f"penstock.{workflow}-")
    logs = await asyncio.to_thread(lambda: [log for log in data.rglob("*.log") if log.parent.name.startswith(ours)])
    places = {TopicPartition(topic, int(p)) for topic, _, p in (log.parent.name.rpartition("-") for log in logs)}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(places))
    finally:
        await consumer.stop()
    return Held(sum(ends.values()), sum(log.stat().st_size for log in logs))
