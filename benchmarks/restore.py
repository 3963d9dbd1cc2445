"""How fast a worker restores a table: `python -m benchmarks.restore [--rows 100000] [--bytes 2000]`; one JSON line.

Writes rows of finished nodes to a changelog on the embedded Kafka (its own, in a temporary folder), then restores them as a
worker does at a takeover: read, decode, fence with a marker. RSS is this process' peak, before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import NewTopic

from penstock import devkafka
from schemas.codec import encode
from schemas.records import Gathered, Json, NodeRow, Spent
from streams.engine.changelogs import OwnedChangelogs
from streams.engine.clients import admin_of, producer_of, reader_of
from streams.engine.config import EngineConfig
from streams.engine.kafka_log import KafkaLog
from streams.engine.log import Outgoing
from streams.engine.restore import Restorer
from streams.engine.tables import Tables

TOPIC, PARTITIONS, CHUNK = "penstock.bench-node-changelog", 4, 5_000


def row(number: int, size: int) -> NodeRow:
    """Return a finished row whose encoded value has about `size` bytes."""
    text = Json('{"text":"' + "x" * (size // 2) + '"}')
    return NodeRow(
        f"run-{number}",
        "success",
        seq=1,
        attempt=1,
        started=True,
        gathered={"input": Gathered("success", text)},
        output=text,
        spent=Spent(100, 50, 0.001),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


async def fill(log: KafkaLog, rows: int, size: int) -> int:
    """Write the changelog; return the bytes of one value."""
    for start in range(0, rows, CHUNK):
        batch: Sequence[Outgoing] = [
            Outgoing(TOPIC, number % PARTITIONS, f"run-{number}".encode(), encode(row(number, size)))
            for number in range(start, min(start + CHUNK, rows))
        ]
        await log.append(batch)
    return len(encode(row(0, size)))


def rss_mb() -> float:
    """Return this process' peak resident set in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(bootstrap: str, rows: int, size: int) -> dict[str, float]:
    """Fill, restore, and return the figures."""
    config = EngineConfig(bootstrap)
    admin, producer, reader = admin_of(config), producer_of(config), reader_of(config)
    for client in (admin, producer, reader):
        await client.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"})])
    log = KafkaLog(producer, config.delivery_timeout_ms)
    value = await fill(log, rows, size)
    before, tables = rss_mb(), Tables()
    restorer = Restorer(reader, log, OwnedChangelogs(log, {"node": TOPIC}), "benchmark")
    began = time.perf_counter()
    restored = await restorer.restore(range(PARTITIONS), tables)
    seconds = time.perf_counter() - began
    for client in (reader, producer):
        await client.stop()
    await admin.close()
    return {
        "rows": restored,
        "value_bytes": value,
        "seconds": round(seconds, 2),
        "rows_per_s": round(restored / seconds),
        "rss_before_mb": round(before),
        "rss_after_mb": round(rss_mb()),
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=2_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        broker = devkafka.start(Path(home), devkafka.ports.any_free(), die_with_parent=True)
        try:
            print(json.dumps(asyncio.run(measure(broker.bootstrap, args.rows, args.bytes))))
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
