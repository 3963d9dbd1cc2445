"""The table: every pattern on the same tasks, against the same failing model.

    python -m benchmarks.patterns [--tasks N] [--rate R] [--levels 1,0.5,2] [--patterns chain,mesh,penstock,penstock-same]
    python -m benchmarks.patterns --records FILE...      runs nothing: the table of what earlier runs wrote

Writes tasks.jsonl (a record per task, from which the table can be recomputed), calls.jsonl.gz, table.json and table.png to
`--out`; prints the table, and one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import logging
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from benchmarks.patterns import lab, on_penstock, plot
from benchmarks.patterns.documents import judge, make_document
from benchmarks.patterns.lab import Load, Meter
from benchmarks.patterns.model import DEADLINE_MS
from benchmarks.patterns.table import GOALS, against_chain, join, markdown, table

PATTERNS = ("chain", "mesh", "penstock", "penstock-same")


async def run_pattern(
    pattern: str, load: Load, bootstrap: str | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Run one pattern; return a record per task, a record per call, and what CPU it took."""
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="penstock-patterns-") as folder:
        async with lab.model(load, Path(folder)) as model:
            meter.watch("model", model.process.pid)
            if pattern in on_penstock.VARIANTS:
                results = await on_penstock.run(pattern, load, model.base_url, meter, bootstrap)
            else:
                results = await lab.drive(pattern, load, model.base_url, meter)
            cpu = {"pattern": pattern, "level": load.level, **meter.read()}
    wrong = {result["task"]: _wrong(load.seed, result) for result in results}
    run = {"pattern": pattern, "level": load.level, "seed": load.seed}
    calls = [{**run, **call} for call in model.calls if call["task"] in wrong]  # the others are of the warm-up
    return join(run, results, calls, wrong), calls, cpu


def _wrong(seed: int, result: dict[str, Any]) -> str | None:
    """Say what is wrong with a task's end; None is a success."""
    if result["error"] is not None:
        return "error" if result["error"] != "deadline" else "deadline"
    if result["latency_ms"] > DEADLINE_MS:
        return "deadline"
    return judge(make_document(seed, int(result["task"].partition("-")[2])), result["outputs"])


async def run_all(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run what is asked for and write the records as they come; return them, and what CPU each pattern took."""
    full = _load(arguments)
    records: list[dict[str, Any]] = []
    cpu = []
    with (
        gzip.open(arguments.out / "calls.jsonl.gz", "wb", 1) as calls,
        (arguments.out / "tasks.jsonl").open("wb") as out,
    ):
        for level in arguments.levels:
            tasks = arguments.tasks if level == 1.0 else min(arguments.tasks, arguments.sensitivity_tasks)
            for pattern in arguments.patterns:
                print(f"{pattern} at fault level {level:g}: {tasks} tasks", file=sys.stderr, flush=True)
                found, called, used = await run_pattern(pattern, replace(full, level=level, tasks=tasks))
                records += found
                cpu.append(used)
                out.writelines(orjson.dumps(record) + b"\n" for record in found)
                calls.writelines(orjson.dumps(call) + b"\n" for call in called)
    return records, cpu


def report(records: list[dict[str, Any]], out: Path, **more: Any) -> None:
    """Write the numbers and the plot; print the table."""
    rows = table(records)
    told = {**more, "goals": GOALS, "against_chain": against_chain(rows), "table": rows}
    (out / "table.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    plot.draw(rows, records, out / "table.png")
    print(markdown(rows), file=sys.stderr)
    print(orjson.dumps({"benchmark": "patterns", **told}).decode())


async def main(arguments: argparse.Namespace) -> None:
    """Run, or read what was run, and report."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.records:
        lines = (line for path in arguments.records for line in path.read_bytes().splitlines())
        report([orjson.loads(line) for line in lines], arguments.out)
    else:
        records, cpu = await run_all(arguments)
        report(records, arguments.out, load=asdict(_load(arguments)), cpu=cpu)


def _load(arguments: argparse.Namespace) -> Load:
    return Load(arguments.tasks, arguments.rate, arguments.seed, scale=arguments.scale)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PATTERNS):
        raise argparse.ArgumentTypeError(f"unknown {sorted(unknown)}; known: {', '.join(PATTERNS)}")
    return names


def _levels(text: str) -> list[float]:
    return [float(level) for level in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--sensitivity-tasks", type=int, default=2_000, help="at fault levels other than 1")
    parser.add_argument("--rate", type=float, default=20.0, help="tasks per second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--levels", type=_levels, default=[1.0], help="fault rates as a multiple of model.py's")
    parser.add_argument("--patterns", type=_names, default=list(PATTERNS))
    parser.add_argument("--records", type=Path, nargs="+", help="tasks.jsonl of earlier runs")
    parser.add_argument("--out", type=Path, default=Path(".penstock/bench-table"))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(main(parser.parse_args()))
