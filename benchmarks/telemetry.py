"""What telemetry costs: `python -m benchmarks.telemetry [--runs 2000]`; one JSON line.

Runs of the diamond go through the real processor, codec and decisions, and their attempts through the real watch, in memory: no
Kafka, so that what is compared is not lost in what it waits for. `off`, `metrics`, `traces`, `both` and `unsampled` (traces, of
which the sampler keeps none) take turns, run by run of the measurement; times are CPU time of this process, `ratio` is to `off`.
Spans go to an exporter that drops them.

Off is nothing but checks for None. `checks_share_of_off` is what those of one run take, measured alone, as a share of what the
run takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import timeit
from collections import deque
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from benchmarks.engine.diamond import HANDLER_FILE, handler, input_of, workflow
from schemas.records import NodeRow
from streams.core.compiled import CompiledWorkflow, compile_workflow
from streams.core.inbound import Inbound
from streams.core.outcome import Done, NodeInput, Outcome
from streams.core.transition import Moment
from streams.engine.attempt import attempt
from streams.engine.processor import Processor
from streams.engine.tables import Tables
from streams.engine.timers import Timers
from streams.telemetry.log_context import set_attempt
from streams.telemetry.metrics import Metrics
from streams.telemetry.telemetry import Telemetry
from streams.telemetry.tracing import GivenIds, Tracing
from streams.telemetry.watch import Watch
from topology.load import load_workflow

ROUNDS = 8


class Dropped(SpanExporter):
    """Takes spans and keeps none."""

    def export(self, spans: object) -> SpanExportResult:
        """Drop them."""
        return SpanExportResult.SUCCESS


class Counted:
    """Counts how often the hooks of one run are passed."""

    def __init__(self) -> None:
        self.checks = 0


class Answers:
    """A node that takes no time."""

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Succeed."""
        return Done({"text": "x" * 480})


class Bench:
    """One processor, watched or not."""

    def __init__(self, compiled: CompiledWorkflow, watch: Watch | None) -> None:
        self._compiled = compiled
        self._watch = watch
        self._tables = Tables()
        self._number = 0
        moment = lambda: Moment(now_ms(), 0.5, "bench")  # noqa: E731
        self._processor = Processor(compiled, self._tables, Timers(), moment, lambda _: 0, watch=watch)
        self._nodes = {node.id: node for node in compiled.plan.nodes}
        self.sends = 0
        self.rows = 0

    async def run(self, count: int) -> float:
        """Take so many runs from input to output; return the CPU seconds of one."""
        began = time.process_time()
        for _ in range(count):
            self._number += 1
            key = f"run-{self._number}".encode()
            await self._settle(deque([Inbound(self._compiled.plan.topic("input"), 0, self._number, 0, key, INPUT)]))
        return (time.process_time() - began) / count

    async def _settle(self, waiting: deque[Inbound]) -> None:
        while waiting:
            self._processor.handle(waiting.popleft())
            effects = self._processor.take_effects()
            self.sends += len(effects.sends)
            self.rows += len(effects.rows)
            for send in effects.sends:
                if send.topic in self._processor.topics:
                    waiting.append(Inbound(send.topic, 0, 1, 0, send.key, send.value, send.headers))
            for (table, partition, run_id), node in effects.launches.items():
                row = self._tables.get(table, partition, run_id)
                assert isinstance(row, NodeRow)
                waiting.append(await self._attempt(node, row))

    async def _attempt(self, node: str, row: NodeRow) -> Inbound:
        plan, workflow_id = self._nodes[node], self._compiled.plan.id
        set_attempt(workflow_id, node, row)
        if self._watch is None:
            done = await attempt(workflow_id, plan, Answers(), row, now_ms)
        else:
            with self._watch.attempt(plan, row, now_ms) as (seen, end):
                done = await attempt(workflow_id, plan, Answers(), seen, now_ms)
                end.record = done.value
        sent = self._processor.address(done, 0)
        return Inbound(sent.topic, 0, 1, 0, sent.key, sent.value, sent.headers)


INPUT = input_of()


def now_ms() -> int:
    """Return the time in epoch ms."""
    return time.time_ns() // 1_000_000


def compiled_diamond() -> CompiledWorkflow:
    """Return the diamond, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workflow.yaml"
        file.write_text(workflow("bench"))
        (Path(folder) / HANDLER_FILE).write_text(handler(0))
        return compile_workflow(load_workflow(file).require_plan())


def check_s() -> float:
    """Return what one check for None takes."""
    bench = Counted()
    number = 1_000_000
    with_it = timeit.timeit("a.checks is not None", globals={"a": bench}, number=number, timer=time.process_time)
    return max(0.0, with_it - timeit.timeit("pass", number=number, timer=time.process_time)) / number


def _provider(sampler: Sampler) -> TracerProvider:
    provider = TracerProvider(sampler=sampler, id_generator=GivenIds())
    provider.add_span_processor(BatchSpanProcessor(Dropped(), max_queue_size=20_000))
    return provider


async def measure(runs: int) -> dict[str, object]:
    """Measure each of them."""
    compiled = compiled_diamond()
    tracing, metrics = Tracing(_provider(ParentBased(ALWAYS_ON))), Metrics()
    kinds = {
        "off": None,
        "metrics": Telemetry(metrics=metrics),
        "traces": Telemetry(tracing),
        "both": Telemetry(tracing, metrics),
        "unsampled": Telemetry(Tracing(_provider(ParentBased(TraceIdRatioBased(0.0))))),
    }
    benches = {name: Bench(compiled, kind and kind.watch(compiled.plan)) for name, kind in kinds.items()}
    found: dict[str, list[float]] = {name: [] for name in benches}
    each = max(1, runs // ROUNDS)
    for bench in benches.values():
        await bench.run(50)
    for _ in range(ROUNDS):
        for name, bench in benches.items():
            found[name].append(await bench.run(each))
    medians = {name: statistics.median(times) for name, times in found.items()}
    off, done = benches["off"], benches["off"]._number  # noqa: SLF001
    checks = (off.sends + 2 * off.rows) / done  # one a record sent; at most two a row: it, and its attempt
    return {
        "runs": each * ROUNDS,
        "us_per_run": {name: round(value * 1e6, 1) for name, value in medians.items()},
        "ratio": {name: round(value / medians["off"], 3) for name, value in medians.items()},
        "checks_per_run": round(checks, 1),
        "checks_share_of_off": round(checks * check_s() / medians["off"], 5),
    }


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().runs))))


if __name__ == "__main__":
    main()
