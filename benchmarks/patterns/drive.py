"""Run chain or mesh as one process of the load: tasks arrive at an even rate, whether or not earlier ones are done.

Says `ready` on stdout and reads on stdin when the first task arrives (epoch seconds). Prints one JSON line per task when all
are done: `{task, latency_ms, outputs, error}`; times are divided by `--scale` in the run and multiplied again here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import uvloop

from benchmarks.patterns import chain, mesh
from benchmarks.patterns.ask import open_client
from benchmarks.patterns.documents import Document, make_document
from benchmarks.patterns.lab import WARM_UP
from benchmarks.patterns.model import DEADLINE_MS

Run = Callable[[Document], Awaitable[dict[str, Any]]]


@contextlib.asynccontextmanager
async def opened(pattern: str, base_url: str, scale: float) -> AsyncIterator[Run]:
    """Start a pattern; the function given runs one task."""
    async with open_client(base_url) as client:
        if pattern == "chain":
            yield lambda document: chain.run(client, document, scale)
        else:
            async with mesh.Mesh(client, scale) as running:
                yield running.run


async def drive(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run this process's share of the tasks; return a record for each."""
    async with opened(arguments.pattern, arguments.base_url, arguments.scale) as run:
        await _warm_up(run, arguments)
        print("ready", flush=True)
        begin = float(await asyncio.to_thread(sys.stdin.readline))
        mine = range(arguments.share, arguments.tasks, arguments.shares)
        jobs = [asyncio.create_task(_one(run, number, begin, arguments)) for number in mine]
        return list(await asyncio.gather(*jobs))


async def _warm_up(run: Run, arguments: argparse.Namespace) -> None:
    """Do a few tasks that do not count: imports, connections."""
    first = arguments.tasks + arguments.share * WARM_UP
    warm = (run(make_document(arguments.seed, number)) for number in range(first, first + WARM_UP))
    await asyncio.gather(*warm, return_exceptions=True)


async def _one(run: Run, number: int, begin: float, arguments: argparse.Namespace) -> dict[str, Any]:
    document = make_document(arguments.seed, number)
    due = begin + number / arguments.rate
    await asyncio.sleep(due - time.time())
    outputs, error = None, None
    try:
        left = due + DEADLINE_MS / 1000 / arguments.scale - time.time()
        async with asyncio.timeout(left):
            outputs = await run(document)
    except TimeoutError:
        error = "deadline"
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"[:200]
    latency = (time.time() - due) * 1000 * arguments.scale
    return {"task": document.id, "latency_ms": round(latency, 1), "outputs": outputs, "error": error}


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", choices=("chain", "mesh"))
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--scale", type=float, required=True)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    for record in uvloop.run(drive(parser.parse_args())):
        sys.stdout.buffer.write(orjson.dumps(record) + b"\n")


if __name__ == "__main__":
    main()
