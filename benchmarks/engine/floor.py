"""The floor: plain aiokafka consuming and producing what a run makes the engine consume and produce, and nothing else.

    python -m benchmarks.engine.floor BOOTSTRAP RUNS RECORDS_IN RECORDS_OUT BYTES

A process of its own: consumes RUNS x RECORDS_IN records of BYTES that stand in a topic, sends RECORDS_OUT for every RECORDS_IN
consumed, and per batch waits for the acknowledgements, then commits, as the simplest program that loses nothing does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

SOURCE, TARGET, PARTITIONS = "floor.in", "floor.out", 4


async def main(bootstrap: str, runs: int, records_in: float, records_out: float, size: int) -> None:
    """Fill the source, then measure; print one JSON line."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in (SOURCE, TARGET)])
    await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", linger_ms=2, max_batch_size=262_144
    )
    await producer.start()
    value, total = b"x" * size, round(runs * records_in)
    for start in range(0, total, 1000):
        sent = [
            await producer.send(SOURCE, value, key=f"run-{i}".encode()) for i in range(start, min(start + 1000, total))
        ]
        await asyncio.gather(*sent)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id="floor", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    consumer.subscribe([SOURCE])
    await consumer.start()
    cpu, began = time.process_time(), time.perf_counter()
    await _copy(consumer, producer, total, records_out / records_in, value)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    await consumer.stop()
    await producer.stop()
    sys.stdout.write(json.dumps({"runs_per_s": round(runs / seconds), "cpu_ms_per_run": round(cpu_s / runs * 1e3, 3)}))


async def _copy(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, total: int, ratio: float, value: bytes) -> None:
    done, owed = 0, 0.0
    while done < total:
        batch = await consumer.getmany(timeout_ms=100, max_records=1000)
        sent = []
        for records in batch.values():
            for record in records:
                done += 1
                owed += ratio
                while owed >= 1:
                    owed -= 1
                    sent.append(await producer.send(TARGET, value, key=record.key))
        await asyncio.gather(*sent)
        if batch:
            await consumer.commit({TopicPartition(*place): records[-1].offset + 1 for place, records in batch.items()})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])))
