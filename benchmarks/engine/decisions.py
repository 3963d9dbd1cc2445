"""CPU of a run without Kafka: `python -m benchmarks.engine.decisions [--rounds 20]`; one JSON line.

The diamond's records are decoded, decided on, its rows and records encoded, its handlers called, all in one process; no client, no
broker. The least of some rounds hardly depends on who else uses the machine, so this is what optimisations are compared by.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from benchmarks.engine.diamond import HANDLER_FILE, handler, input_of, workflow
from schemas.codec import encode
from streams.core.compiled import CompiledWorkflow, compile_workflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from streams.engine.attempt import Node, attempt
from streams.engine.log import Outgoing
from streams.engine.processor import Processor
from streams.engine.tables import Tables
from streams.engine.timers import Timers
from streams.nodes import Resources
from streams.nodes.kinds import build
from topology.load import load_workflow
from topology.plan import WorkflowPlan

NAME, RUNS, BATCH = "decisions", 100, 1_000


def now_ms() -> int:
    """Return the time in epoch ms."""
    return time.time_ns() // 1_000_000


async def round_of(compiled: CompiledWorkflow, nodes: dict[str, Node]) -> int:
    """Have `RUNS` runs done; return how many results there were."""
    plan, value, results = compiled.plan, input_of(), 0
    processor = Processor(compiled, Tables(), Timers(), lambda: Moment(now_ms(), 0.5, "bench"), lambda _: 0)
    offset = RUNS
    waiting = deque(Inbound(plan.topic("input"), 0, n, now_ms(), f"run-{n}".encode(), value) for n in range(RUNS))

    def read_back(record: Outgoing) -> None:
        nonlocal offset
        offset += 1
        waiting.append(Inbound(record.topic, 0, offset, now_ms(), record.key, record.value, record.headers))

    while waiting:
        for _ in range(min(len(waiting), BATCH)):
            processor.handle(waiting.popleft())
        effects = processor.take_effects()
        for record in effects.sends:
            results += record.topic == plan.topic("output")
            if record.topic in processor.topics:
                read_back(record)
        for row in effects.rows.values():
            if row is not None:
                encode(row)
        for (table, _, key), node in effects.launches.items():
            row = processor.tables.get(table, 0, key)
            read_back(processor.address(await attempt(plan.id, plan.node(node), nodes[node], row, now_ms), 0))  # type: ignore[arg-type]
    return results


def diamond() -> tuple[WorkflowPlan, dict[str, Node]]:
    """Return the diamond's plan and its nodes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "workflow.yaml")
        file.write_text(workflow(NAME))
        Path(folder, HANDLER_FILE).write_text(handler(0))
        plan, resources = load_workflow(file).plan, Resources()
        return plan, {node.id: build(node, plan.id, resources) for node in plan.nodes}


async def main(rounds: int) -> dict[str, object]:
    """Return the least and the median CPU per run."""
    plan, nodes = diamond()
    took = []
    for _ in range(rounds):
        began = time.process_time()
        results = await round_of(compile_workflow(plan), nodes)
        took.append((time.process_time() - began) / RUNS * 1e3)
        assert results == RUNS, f"{results} results of {RUNS} runs"
    took.sort()
    return {"cpu_ms_per_run": round(took[0], 3), "median": round(took[len(took) // 2], 3), "rounds": rounds}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    sys.stdout.write(json.dumps(asyncio.run(main(parser.parse_args().rounds))) + "\n")
