"""(c) Penstock on real Kafka, by its public face: `penstock worker` processes, inputs produced to a topic, results consumed."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.patterns.documents import FOLDER, document_id, make_document
from benchmarks.patterns.lab import START_S, WARM_UP, Load, Meter
from benchmarks.patterns.model import DEADLINE_MS
from benchmarks.stage import Stage

VARIANTS = {"penstock": ("bills", "workflow.yaml"), "penstock-same": ("bills-same", "same.yaml")}
GRACE_S = 5.0


async def run(
    variant: str, load: Load, base_url: str, meter: Meter, bootstrap: str | None = None
) -> list[dict[str, Any]]:
    """Run the tasks on a Kafka of their own, or the one at `bootstrap`; return a result for each."""
    workflow, file = VARIANTS[variant]
    with tempfile.TemporaryDirectory(prefix="penstock-patterns-") as folder:
        stage = _stage(Path(folder), workflow, file, base_url, load.scale)
        try:
            await _open(stage, load.shares, bootstrap)
            for worker in stage.workers:
                meter.watch("workers", worker.pid)
            if stage.broker_pid:
                meter.watch("kafka", stage.broker_pid)
            async with _clients(stage.bootstrap, workflow) as (producer, consumer):
                ended = await _play(producer, consumer, workflow, load, meter)
            meter.read()
        finally:
            await asyncio.to_thread(stage.close)
    return [_result(number, ended.get(document_id(number)), load) for number in range(load.tasks)]


def _stage(folder: Path, workflow: str, file: str, base_url: str, scale: float) -> Stage:
    files = {path.name: path.read_text() for path in FOLDER.iterdir() if path.suffix != ".yaml" and path.is_file()}
    files["workflow.yaml"] = _scaled((FOLDER / file).read_text(), scale)
    return Stage(folder, workflow, files, {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none-needed"})


def _scaled(text: str, scale: float) -> str:
    """Divide what the workflow waits for, as everybody's time is."""
    return re.sub(r"(?<=_ms: )\d+", lambda found: str(max(1, round(int(found[0]) / scale))), text)


async def _open(stage: Stage, workers: int, bootstrap: str | None) -> None:
    if bootstrap is None:
        await stage.open(workers)
        return
    stage.bootstrap = bootstrap
    await stage.open_workers(workers)


@contextlib.asynccontextmanager
async def _clients(bootstrap: str, workflow: str) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(f"{workflow}.output", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with producer, consumer:
        yield producer, consumer


Ended = dict[str, tuple[float, dict[str, Any]]]


async def _play(
    producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, workflow: str, load: Load, meter: Meter
) -> Ended:
    """Publish at the load's rate and read results until every task has one, or can no longer have one in time."""
    warm = range(load.tasks, load.tasks + WARM_UP * load.shares)
    await _publish(producer, f"{workflow}.input", load, warm)
    await _read(consumer, {document_id(number) for number in warm}, time.time() + DEADLINE_MS / 1000)
    meter.start()
    begin = time.time() + START_S
    feeding = asyncio.create_task(_publish(producer, f"{workflow}.input", load, range(load.tasks), begin))
    last = begin + load.tasks / load.rate + DEADLINE_MS / 1000 / load.scale + GRACE_S
    seen = await _read(consumer, {document_id(number) for number in range(load.tasks)}, last)
    await feeding
    dues = {document_id(number): begin + number / load.rate for number in range(load.tasks)}
    return {task: ((at - dues[task]) * 1000 * load.scale, told) for task, (at, told) in seen.items()}


async def _read(consumer: AIOKafkaConsumer, tasks: set[str], until: float) -> Ended:
    """Return when each of the tasks' results came (epoch seconds), and the result."""
    ended: Ended = {}
    while len(ended) < len(tasks) and time.time() < until:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            now = time.time()
            for record in records:
                task = record.key.decode()
                if task in tasks:
                    ended.setdefault(task, (now, orjson.loads(record.value)))
    return ended


async def _publish(
    producer: AIOKafkaProducer, topic: str, load: Load, numbers: range, begin: float | None = None
) -> None:
    for number in numbers:
        document = make_document(load.seed, number)
        if begin is not None:
            await asyncio.sleep(begin + number / load.rate - time.time())
        value = orjson.dumps({"document_id": document.id, "text": document.text})
        await producer.send(topic, value, document.id.encode())
    await producer.flush()


def _result(number: int, ended: tuple[float, dict[str, Any]] | None, load: Load) -> dict[str, Any]:
    """Bring a run's result into the shape that all patterns have."""
    task = document_id(number)
    if ended is None:
        return {"task": task, "latency_ms": DEADLINE_MS + GRACE_S * 1000, "outputs": None, "error": "deadline"}
    latency, told = ended
    good = told["status"] == "success"
    error = None if good else f"run {told['status']}"
    return {"task": task, "latency_ms": round(latency, 1), "outputs": told["outputs"].get("assemble"), "error": error}
