"""The model that the patterns call: `benchmarks.provider` told by `model.py` what to say. A process of its own.

    python -m benchmarks.patterns.oracle --calls FILE [--seed N] [--level X] [--scale X]

One JSON line with its address when it listens; at SIGTERM every call goes to FILE, one JSON object per line.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import uvloop

from benchmarks.patterns.documents import Document, make_document
from benchmarks.patterns.model import RETRY_AFTER_S, fate
from benchmarks.patterns.prices import dollars
from benchmarks.provider import ChatRequest, Config, Decision, ProviderServer
from benchmarks.provider.exchange import tokens

_ASKED = re.compile(r"Task: ([a-z_]+)\nDocument: D-(\d+)\n(?:Done: (.*)\nRunning: (.*)\n)?")


class Oracle:
    """Knows every document's truth and counts how often each step of each was asked for."""

    def __init__(self, seed: int, level: float, scale: float) -> None:
        self._seed, self._level, self._scale = seed, level, scale
        self._tries: Counter[tuple[str, str]] = Counter()
        self._document = lru_cache(maxsize=5_000)(lambda number: make_document(seed, number))
        self.calls: list[dict[str, Any]] = []
        """What was decided, in the order of the server's own list of calls."""

    def decide(self, request: ChatRequest) -> Decision:
        """Return what happens to a call; what nobody here would ask is refused as a bad request."""
        found = _ASKED.match(request.prompt)
        if found is None:
            self.calls.append({"task": None, "kind": "http_400"})
            return Decision("http_400", 0.0, "")
        step, number, done, running = found.groups()
        document: Document = self._document(int(number))
        self._tries[document.id, step] += 1
        nth = self._tries[document.id, step]
        state = {"done": (done or "").split(), "running": (running or "").split()}
        drawn = fate(self._seed, self._level, document, step, nth, request.model, state)
        self.calls.append({"task": document.id, "step": step, "try": nth, "model": request.model, "kind": drawn.kind})
        schema_tokens = 0 if request.schema is None else tokens(orjson.dumps(request.schema).decode())
        return Decision(drawn.fault, drawn.delay_ms / 1000 / self._scale, drawn.said, schema_tokens)

    def records(self, server: ProviderServer) -> list[dict[str, Any]]:
        """Return every call with what it is billed: an answer that nobody waited for was made, so it is billed."""
        return [
            {
                **decided,
                "prompt_tokens": call.prompt_tokens,
                "completion_tokens": call.completion_tokens,
                "cost_usd": dollars(call.model, call.prompt_tokens, call.completion_tokens),
            }
            for decided, call in zip(self.calls, server.calls, strict=True)
        ]


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    oracle = Oracle(arguments.seed, arguments.level, arguments.scale)
    config = Config(seed=arguments.seed, retry_after_s=RETRY_AFTER_S / arguments.scale, decide=oracle.decide)
    async with ProviderServer(config) as server:
        print(orjson.dumps({"base_url": server.base_url}).decode(), flush=True)
        await stopped.wait()
    with arguments.calls.open("wb") as out:
        out.writelines(orjson.dumps(call) + b"\n" for call in oracle.records(server))


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--level", type=float, default=1.0)
    parser.add_argument("--scale", type=float, default=1.0)
    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
