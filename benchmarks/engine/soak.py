"""A worker under an even load for a long time: `python -m benchmarks.engine.soak [--minutes 30] [--rate 50]`; one JSON line.

Prints a sample every few seconds on stderr. `state_retention_ms` is half a minute and inputs are deleted after a minute and a half (here,
by their offsets: no segment of Kafka's is deleted that soon), so that tables reach a size they keep. Slopes are those of a straight
line through the samples after the first third: of memory, open files and rows held.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from benchmarks.engine import scenarios
from benchmarks.engine.changelogs import rows_of
from benchmarks.engine.diamond import handler, input_of, workflow
from benchmarks.engine.processes import held, used
from benchmarks.stage import Stage

NAME = "soak"
RETENTION_MS = 30_000
INPUTS_S = 90
SAMPLES = 60
Sample = dict[str, float]


async def feed(bootstrap: str, rate: float, until: float) -> int:
    """Publish at an even rate; return how many."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    began, sent, value = time.monotonic(), 0, input_of()
    try:
        while time.monotonic() < until:
            await producer.send(f"{NAME}.input", value, key=f"soak-{sent}".encode())
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))
        await producer.flush()
    finally:
        await producer.stop()
    return sent


async def retain(bootstrap: str) -> None:
    """Delete inputs that are old, as retention does, until cancelled."""
    admin, reader = AIOKafkaAdminClient(bootstrap_servers=bootstrap), AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await admin.start()
    await reader.start()
    try:
        places = [TopicPartition(f"{NAME}.input", p) for p in range(4)]
        while True:
            await asyncio.sleep(INPUTS_S / 3)
            old = await reader.offsets_for_times({place: int((time.time() - INPUTS_S) * 1000) for place in places})
            behind = {place: RecordsToDelete(at.offset) for place, at in old.items() if at is not None}
            if behind:
                await admin.delete_records(behind)
    finally:
        await reader.stop()
        await admin.close()


async def sample(stage: Stage, began: float) -> Sample:
    """Return what is held now."""
    worker = used(scenarios.worker_pids(stage))
    topics = await held(stage.bootstrap, NAME, scenarios.data_of(stage))
    return {
        "minutes": round((time.monotonic() - began) / 60, 3),
        "rss_mb": round(worker.rss_mb, 1),
        "open_files": worker.files,
        "topic_mb": round(topics.bytes / 1e6, 1),
        "cpu_s": round(worker.cpu_s, 1),
    }


def slope(samples: list[Sample], name: str) -> float:
    """Return by how much a figure grows per minute."""
    if len(samples) < 2:
        return 0.0
    return statistics.linear_regression([s["minutes"] for s in samples], [s[name] for s in samples]).slope


async def soak(stage: Stage, minutes: float, rate: float) -> dict[str, object]:
    """Play and return the slopes."""
    text = workflow(NAME).replace("  budget:", f"  state_retention_ms: {RETENTION_MS}\n  budget:")
    async with scenarios.at_work(stage, NAME, text, handler(0.1)) as one:
        began, samples = time.monotonic(), []
        feeding = asyncio.create_task(feed(stage.bootstrap, rate, began + minutes * 60))
        reading = asyncio.create_task(one.read_until(feeding))
        retaining = asyncio.create_task(retain(stage.bootstrap))
        while not feeding.done():
            await asyncio.wait([feeding], timeout=minutes * 60 / SAMPLES)
            samples.append(await sample(stage, began))
            sys.stderr.write(json.dumps(samples[-1]) + "\n")
        results = await reading
        retaining.cancel()
        await asyncio.wait([retaining])
        warm = samples[len(samples) // 3 :]
        return {
            "minutes": minutes,
            "runs": feeding.result(),
            "results": results,
            "rss_mb": [samples[0]["rss_mb"], warm[0]["rss_mb"], samples[-1]["rss_mb"]],
            "rss_mb_per_minute": round(slope(warm, "rss_mb"), 3),
            "open_files_per_minute": round(slope(warm, "open_files"), 3),
            "cpu_s_per_minute": [round(slope(half, "cpu_s"), 2) for half in _halves(warm)],
            "topic_bytes_per_run": round(slope(warm, "topic_mb") * 1e6 / (rate * 60)),
            "rows_held": await rows_of(stage.bootstrap, NAME),
        }


def _halves(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    middle = len(samples) // 2
    return samples[:middle], samples[middle:]


async def main(minutes: float, rate: float) -> dict[str, object]:
    """Set the stage and play."""
    with tempfile.TemporaryDirectory(prefix="penstock-soak-") as folder:
        stage = Stage(Path(folder), "", {})
        try:
            await asyncio.to_thread(stage.start_broker)
            return await soak(stage, minutes, rate)
        finally:
            await asyncio.to_thread(stage.close)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=50.0)
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.stdout.write(json.dumps(asyncio.run(main(asked.minutes, asked.rate))) + "\n")
