"""How fast the engine is: `python -m benchmarks.engine [--runs 10000] [--short | --traces]`; one JSON line.

A diamond of four function nodes (1 kB in, 500 B out of each) with a budget, on an embedded Kafka of its own. Workers are
`penstock worker` processes. The floor is plain aiokafka moving as many records and bytes, in the same minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.engine import scenarios
from benchmarks.stage import Stage

CONSUMED = 7
"""Records of topics that a diamond's agents read per run: the input, Started, Finished, and an end for each of four nodes."""


async def main(runs: int, what: Callable[[Stage, int], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Set the stage and measure one thing after the other."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        stage = Stage(Path(folder), "", {})
        try:
            await asyncio.to_thread(stage.start_broker)
            return await what(stage, runs)
        finally:
            await asyncio.to_thread(stage.close)


async def _short(stage: Stage, runs: int) -> dict[str, Any]:
    fast = await scenarios.saturated(stage, "diamond-0", 0.0, runs, 1_000)
    return _compared(stage, {"saturated_0ms": fast}, runs)


async def _traces(stage: Stage, runs: int) -> dict[str, Any]:
    return {
        "saturated_0ms": await scenarios.saturated(stage, "diamond-0", 0.0, runs, 1_000),
        "traced_0ms": await scenarios.traced(stage, "diamond-traced", runs, 1_000),
        "saturated_0ms_again": await scenarios.saturated(stage, "diamond-0-again", 0.0, runs, 1_000),
    }


async def _whole(stage: Stage, runs: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "saturated_0ms": await scenarios.saturated(stage, "diamond-0", 0.0, runs, 1_000),
        "traced_0ms": await scenarios.traced(stage, "diamond-traced", runs, 1_000),
        "saturated_0ms_2_workers": await scenarios.saturated(stage, "diamond-0-2", 0.0, runs, 2_000, workers=2),
        "saturated_100ms": await scenarios.saturated(stage, "diamond-100", 0.1, runs, 1_000),
        "alone_0ms": await scenarios.alone(stage, "diamond-alone", max(20, runs // 25)),
        "thousands_1s": await scenarios.thousands(stage, "diamond-1000", runs // 2),
        "long_call": await scenarios.long_call(stage, "diamond-long", 20.0),
    }
    return _compared(stage, found, runs)


def _compared(stage: Stage, found: dict[str, Any], runs: int) -> dict[str, Any]:
    """Add the floor under the first scenario, and how much of it the engine reaches."""
    fast = found["saturated_0ms"]
    records_out = fast["records_per_run"] - 1  # the input is the load's
    size = round(fast["bytes_per_run"] / fast["records_per_run"])
    under = scenarios.floor(stage, runs, CONSUMED, records_out, size)
    ratio = fast["runs_per_s"] / float(str(under["runs_per_s"]))
    cpu = float(str(under["cpu_ms_per_run"])) / fast["worker_cpu_ms_per_run"]
    return {**found, "floor": under, "ratio_to_floor": round(ratio, 2), "ratio_to_floor_in_cpu": round(cpu, 2)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--short", action="store_true", help="one worker at 0 ms and the floor, nothing else")
    parser.add_argument("--traces", action="store_true", help="one worker at 0 ms without traces, with, and without")
    asked = parser.parse_args()
    scenario = _traces if asked.traces else _short if asked.short else _whole
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.stdout.write(json.dumps(asyncio.run(main(asked.runs, scenario))) + "\n")
