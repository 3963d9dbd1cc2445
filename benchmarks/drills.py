"""Drills: one thing that production does, under load, from outside: the command line, Kafka clients and signals alone.

    python -m benchmarks.drills kill|broker|zombie|rolling [--runs N] [--rate R] [--seconds S]

Four nodes of 300 ms in a diamond, two workers. One JSON line: results, lost, double, executions repeated, latency in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.stage import Stage

NODE_S = 0.3
IDEAL_S = 3 * NODE_S
LOG = "DRILL_LOG"
WORKFLOW = """\
workflow:
  id: drill
  version: 1.0.0
  nodes:
    - {id: classify, type: function, handler: handler.py, dependencies: []}
    - {id: extract, type: function, handler: handler.py, dependencies: [classify]}
    - {id: sentiment, type: function, handler: handler.py, dependencies: [classify]}
    - {id: summarize, type: function, handler: handler.py, dependencies: [extract, sentiment]}
"""
HANDLER = f"""\
import asyncio, os

async def handle(inputs, context):
    line = f"{{context.run_id}} {{context.node}} {{context.epoch}} {{context.seq}}\\n".encode()
    fd = os.open(os.environ["{LOG}"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, line)
    os.close(fd)
    await asyncio.sleep({NODE_S})
    return {{"node": context.node, "n": inputs["input"]["n"]}}
"""


async def kill(stage: Stage, seconds: float) -> None:
    """SIGKILL a worker every 10 s."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(10)
        await asyncio.to_thread(stage.replace, signal.SIGKILL)


async def broker(stage: Stage, seconds: float) -> None:
    """Kill the broker in the middle, and start it again."""
    await asyncio.sleep(seconds / 2)
    os.kill(stage.broker_pid, signal.SIGKILL)
    await asyncio.sleep(3)
    await asyncio.to_thread(stage.start_broker)


async def zombie(stage: Stage, seconds: float) -> None:
    """Stop a worker for 20 s, beyond its session; then let it go on."""
    await asyncio.sleep(seconds / 4)
    stage.workers[0].send_signal(signal.SIGSTOP)
    await asyncio.sleep(20)
    stage.workers[0].send_signal(signal.SIGCONT)


async def rolling(stage: Stage, seconds: float) -> None:
    """SIGTERM each worker twice, one after the other."""
    for _ in range(4):
        await asyncio.sleep(seconds / 5)
        await asyncio.to_thread(stage.replace, signal.SIGTERM)


DRILLS = {"kill": kill, "broker": broker, "zombie": zombie, "rolling": rolling}


@contextlib.asynccontextmanager
async def clients(bootstrap: str) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """Start a producer and a consumer of the results."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer("drill.output", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    try:
        yield producer, consumer
    finally:
        await consumer.stop()
        await producer.stop()


async def publish(producer: AIOKafkaProducer, runs: int, rate: float, sent: dict[str, float]) -> None:
    """Publish inputs at an even rate; a broker that is away is waited for."""
    begin = time.time()
    pending = []
    for n in range(runs):
        await asyncio.sleep(max(0.0, begin + n / rate - time.time()))
        run_id = f"run-{n:05d}"
        sent[run_id] = time.time()
        pending.append(await producer.send("drill.input", json.dumps({"n": n}).encode(), run_id.encode()))
    await asyncio.gather(*pending)


async def drill(stage: Stage, name: str, runs: int, rate: float, seconds: float) -> dict[str, object]:
    """Play one drill and return its figures."""
    sent: dict[str, float] = {}
    results: dict[str, float] = {}
    seen: Counter[tuple[str, int]] = Counter()
    statuses: Counter[str] = Counter()
    async with clients(stage.bootstrap) as (producer, consumer):
        feeding = asyncio.create_task(publish(producer, runs, rate, sent))
        playing = asyncio.create_task(DRILLS[name](stage, seconds))
        last = time.monotonic()
        while len(results) < runs or not playing.done():
            if time.monotonic() - last > 180:
                break
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    last = time.monotonic()
                    result = json.loads(record.value)
                    seen[(result["run_id"], result["epoch"])] += 1
                    if result["run_id"] not in results:
                        results[result["run_id"]] = time.time() - sent[result["run_id"]]
                        statuses[result["status"]] += 1
        await feeding
        await playing
    return figures(stage, runs, results, seen, statuses)


def figures(
    stage: Stage, runs: int, results: dict[str, float], seen: Counter[tuple[str, int]], statuses: Counter[str]
) -> dict[str, object]:
    """Return what was measured."""
    executed = Counter(Path(stage.env[LOG]).read_text().splitlines())
    times = sorted(results.values()) or [0.0]
    return {
        "runs": runs,
        "results": len(results),
        "statuses": dict(statuses),
        "lost": runs - len(results),
        "double": sum(count - 1 for count in seen.values()),
        "executions": sum(executed.values()),
        "repeated": sum(executed.values()) - len(executed),
        "worker_restarts": stage.restarts,
        "bad_exits": stage.bad_exits,
        "died_by_themselves": sum(worker.poll() is not None for worker in stage.workers),
        "ideal_s": IDEAL_S,
        "p50_s": round(times[len(times) // 2], 3),
        "p99_s": round(times[int(len(times) * 0.99)], 3),
        "worst_s": round(times[-1], 3),
    }


async def main(name: str, runs: int, rate: float, seconds: float) -> int:
    """Set the stage, play, audit."""
    with tempfile.TemporaryDirectory(prefix="penstock-drill-") as folder:
        log = Path(folder) / "executions.txt"
        files = {"workflow.yaml": WORKFLOW, "handler.py": HANDLER}
        stage = Stage(Path(folder), "drill", files, {LOG: str(log)})
        try:
            await stage.open(workers=2)
            found = {"drill": name, **await drill(stage, name, runs, rate, seconds)}
            await asyncio.sleep(2)
            audit = await asyncio.to_thread(stage.audit)
            found["audit"] = audit.stdout.strip().splitlines()[-1] if audit.stdout.strip() else audit.stderr[-300:]
        finally:
            stage.close()
    sys.stdout.write(json.dumps(found) + "\n")
    return int(bool(found["lost"]) or audit.returncode != 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drill", choices=DRILLS)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long the drill lasts (default: the load)")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says for every try that the broker is away
    sys.exit(asyncio.run(main(asked.drill, asked.runs, asked.rate, asked.seconds or asked.runs / asked.rate)))
