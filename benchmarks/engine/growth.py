"""What a run costs as things grow: `python -m benchmarks.engine.growth [--short]`; one JSON line per point.

Finished runs (in state tables and topics), nodes, payload, partitions. CPU of the worker per run is what is compared: it does not
depend on who else uses the machine as the rate does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from benchmarks.engine import scenarios
from benchmarks.engine.diamond import chains, handler, input_of, workflow
from benchmarks.stage import Stage

Point = dict[str, Any]


async def finished_runs(stage: Stage, totals: list[int]) -> AsyncIterator[Point]:
    """Measure the last thousand or so runs before each of `totals` finished ones, in one worker's life."""
    name, done = "grow-runs", 0
    async with scenarios.at_work(stage, name, workflow(name), handler(0)) as one:
        for total in totals:
            window = min(1_000, (total - done) // 2)
            if total - done > window:
                await one.run(total - done - window, 500)
            meter = scenarios.Meter(stage)
            seconds = await one.run(window, 500)
            done = total
            yield {"finished_runs": total, **_cost(meter.figures(window, seconds))}


async def nodes(stage: Stage, counts: list[int], runs: int) -> AsyncIterator[Point]:
    """Measure workflows of chains of four nodes, side by side."""
    for count in counts:
        name = f"grow-nodes-{count}"
        async with scenarios.at_work(stage, name, chains(name, count), handler(0)) as one:
            await one.run(runs // 4, 100)
            meter = scenarios.Meter(stage)
            cost = _cost(meter.figures(runs, await one.run(runs, 100)))
            yield {
                "nodes": count,
                **cost,
                "cpu_ms_per_node": round(float(str(cost["worker_cpu_ms_per_run"])) / count, 3),
            }


async def payloads(stage: Stage, sizes: list[int], runs: int) -> AsyncIterator[Point]:
    """Measure a diamond whose input has so many bytes; outputs have 500."""
    for size in sizes:
        name = f"grow-payload-{size}"
        few = max(20, min(runs, 20_000_000 // size))
        async with scenarios.at_work(stage, name, workflow(name), handler(0), value=input_of(size)) as one:
            await one.run(few // 4, 20)
            meter = scenarios.Meter(stage)
            yield {"input_bytes": size, **_cost(meter.figures(few, await one.run(few, 20)))}


async def partitions(stage: Stage, counts: list[int], runs: int) -> AsyncIterator[Point]:
    """Measure a diamond on so many partitions, one worker."""
    for count in counts:
        name = f"grow-partitions-{count}"
        async with scenarios.at_work(stage, name, workflow(name), handler(0), partitions=count) as one:
            await one.run(runs // 4, 500)
            meter = scenarios.Meter(stage)
            yield {"partitions": count, **_cost(meter.figures(runs, await one.run(runs, 500)))}


def _cost(figures: dict[str, object]) -> Point:
    kept = ("runs_per_s", "worker_cpu_ms_per_run", "broker_cpu_ms_per_run", "worker_rss_mb")
    return {name: figures[name] for name in kept}


async def main(short: bool) -> None:
    """Print a line per point, as they are measured."""
    with tempfile.TemporaryDirectory(prefix="penstock-growth-") as folder:
        stage = Stage(Path(folder), "", {})
        try:
            await asyncio.to_thread(stage.start_broker)
            runs = 100 if short else 1_000
            series = (
                finished_runs(stage, [100, 200] if short else [1_000, 3_000, 10_000, 30_000, 100_000]),
                nodes(stage, [4, 8] if short else [4, 16, 64], runs // 2),
                payloads(stage, [1_000] if short else [1_000, 8_000, 64_000, 512_000], runs),
                partitions(stage, [1, 4] if short else [1, 4, 32], runs),
            )
            for points in series:
                async for point in points:
                    sys.stdout.write(json.dumps(point) + "\n")
                    sys.stdout.flush()
        finally:
            await asyncio.to_thread(stage.close)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few hundred runs in all")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(main(asked.short))
