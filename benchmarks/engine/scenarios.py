"""One question each: a workflow on the stage's broker, its workers, a load, and what came of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.engine.diamond import HANDLER_FILE, NODES, handler, handler_with_a_long_call, input_of, workflow
from benchmarks.engine.load import Load, load
from benchmarks.engine.processes import Held, Used, held, used
from benchmarks.engine.sink import sink
from benchmarks.stage import Stage

Figures = Mapping[str, object]


@asynccontextmanager
async def at_work(
    stage: Stage, name: str, text: str, source: str, workers: int = 1, value: bytes | None = None, partitions: int = 4
) -> AsyncIterator[Load]:
    """Start workers of a workflow; they are stopped in the end."""
    (stage.folder / "workflow.yaml").write_text(text)
    (stage.folder / HANDLER_FILE).write_text(source)
    for _ in range(workers):
        stage.start_worker("--partitions", str(partitions))
    await stage.ready()
    try:
        async with load(stage.bootstrap, name, value or input_of()) as one:
            yield one
    finally:
        await asyncio.to_thread(stage.stop_workers)


def worker_pids(stage: Stage) -> list[int]:
    """Return the workers' process ids."""
    return [worker.pid for worker in stage.workers]


class Meter:
    """What workers and broker use from a moment on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._before = self._now()

    def start(self) -> None:
        """Measure from now on."""
        self._before = self._now()

    def _now(self) -> tuple[Used, Used]:
        return used(worker_pids(self._stage)), used([self._stage.broker_pid])

    def figures(self, runs: int, seconds: float) -> dict[str, object]:
        """Return what each of `runs` runs took, and the rate."""
        workers, broker = self._now()
        return {
            "runs_per_s": round(runs / seconds),
            "node_executions_per_s": round(runs * NODES / seconds),
            "worker_cpu_ms_per_run": round(workers.since(self._before[0]) / runs * 1e3, 3),
            "worker_rss_mb": round(workers.rss_mb),
            "broker_cpu_ms_per_run": round(broker.since(self._before[1]) / runs * 1e3, 3),
            "broker_rss_mb": round(broker.rss_mb),
        }


async def saturated(stage: Stage, name: str, node_s: float, runs: int, in_flight: int, workers: int = 1) -> Figures:
    """Keep `in_flight` runs going; the first fifth of `runs` is the warm-up and is not counted."""
    async with at_work(stage, name, workflow(name), handler(node_s), workers) as one:
        meter, warm = Meter(stage), runs // 5
        seconds = await one.run(runs, in_flight, warm, meter.start)
        found = meter.figures(runs - warm, seconds)
        await asyncio.sleep(1)
        return {**found, "failed": one.failed, **await _written(stage, name, runs)}


async def traced(stage: Stage, name: str, runs: int, in_flight: int) -> Figures:
    """Do what `saturated` does at 0 ms with one worker, whose spans go to a collector."""
    quiet = stage.env
    with sink() as endpoint:
        stage.env = {**quiet, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces"}
        try:
            return await saturated(stage, name, 0.0, runs, in_flight)
        finally:
            stage.env = quiet


async def _written(stage: Stage, name: str, runs: int) -> dict[str, object]:
    total: Held = await held(stage.bootstrap, name, data_of(stage))
    return {"records_per_run": round(total.records / runs, 2), "bytes_per_run": round(total.bytes / runs)}


def data_of(stage: Stage) -> Path:
    """Return the broker's folder."""
    return Path(stage.env["PENSTOCK_HOME"])


async def alone(stage: Stage, name: str, runs: int) -> Figures:
    """Have one run at a time at 0 ms, some pause between."""
    async with at_work(stage, name, workflow(name), handler(0)) as one:
        await one.alone(20, 0.02)
        return percentiles(await one.alone(runs, 0.02))


def percentiles(seconds: Sequence[float]) -> dict[str, object]:
    """Return median, p99 and the longest, in ms."""
    ordered = sorted(seconds)
    return {
        "runs": len(ordered),
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 1),
        "max_ms": round(ordered[-1] * 1e3, 1),
    }


async def thousands(stage: Stage, name: str, calls: int) -> Figures:
    """Have so many runs begin at once, each node of which takes 1 s: the ideal is 3 s for the diamond."""
    async with at_work(stage, name, workflow(name), handler(1.0)) as one:
        await one.run(20, 20)
        seconds = await one.run(calls, calls)
        return {"calls_in_flight": calls, "seconds": round(seconds, 2), "ideal_s": 3.0, "failed": one.failed}


async def long_call(stage: Stage, name: str, seconds: float) -> Figures:
    """Have one call take `seconds`, several times the group's session, and others run one by one beside it: nobody may notice.

    For scale: a call of 30 minutes is 300 sessions of 6 s; what would end a session, or a poll, does so after one.
    """
    async with at_work(stage, name, workflow(name, 300_000), handler_with_a_long_call(seconds)) as one:
        before = percentiles(await one.alone(100, 0.02))
        await one.producer.send_and_wait(f"{name}.input", b'{"slow": true}', key=b"slow")
        beside = percentiles(await one.alone(round(seconds * 10), 0.05))
        taken_over = sum(log.read_text().count("partitions taken over") for log in stage.folder.glob("worker-0.log"))
        return {"call_s": seconds, "before": before, "beside": beside, "rebalances": taken_over - 1}


def floor(stage: Stage, runs: int, records_in: float, records_out: float, size: int) -> Figures:
    """Measure plain aiokafka in a process of its own."""
    import json

    words = [stage.bootstrap, str(runs), str(records_in), str(records_out), str(size)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine.floor", *words], capture_output=True, text=True, check=True
    )
    return {"records_in": records_in, "records_out": records_out, "bytes": size, **json.loads(done.stdout)}
