"""Failures of a model's provider, from outside: a real worker, real Kafka, and the fault server of `benchmarks/provider`.

    python -m benchmarks.failures outage|budget|malformed|mixed [--runs N] [--seconds S]

outage: 429 for S seconds, then well again. budget: a budget that fits only part of the work, 10 % faults, a worker killed.
malformed: a model that never answers with valid JSON. mixed: every fault at once. One JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.provider import ProviderServer
from benchmarks.provider.config import Latency
from benchmarks.stage import Stage

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}
NODE = "    - {{id: {id}, type: llm, model: m, prompt_template: p.j2, output_schema: s.json, dependencies: [{needs}]{more}}}\n"
CHAIN = {"classify": "", "extract": "classify"}
DIAMOND = {"classify": "", "extract": "classify", "sentiment": "classify", "summarize": "extract, sentiment"}
MAX_TOKENS = 700
"""A call is reserved at some 490 tokens and uses about 70: one fits, the second of two at once does not."""


def workflow(nodes: dict[str, str], more: str = "", budget: str = "") -> str:
    """Return a workflow of llm nodes."""
    lines = "".join(NODE.format(id=node, needs=needs, more=more) for node, needs in nodes.items())
    return f"workflow:\n  id: failures\n  version: 1.0.0\n{budget}  nodes:\n{lines}"


class Scene:
    """What a scenario plays with."""

    def __init__(self, stage: Stage, server: ProviderServer, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer):
        self.stage = stage
        self.server = server
        self.results: dict[str, dict[str, Any]] = {}
        self.double = 0
        self.ended_at: dict[str, float] = {}
        self._producer = producer
        self._consumer = consumer

    async def publish(self, runs: int, rate: float = 200.0) -> None:
        """Publish inputs."""
        for n in range(runs):
            text = json.dumps({"text": f"document {n}"}).encode()
            await self._producer.send("failures.input", text, f"run-{n:05d}".encode())
            await asyncio.sleep(1 / rate)
        await self._producer.flush()

    async def results_of(self, runs: int, within_s: float) -> None:
        """Read results until every run has one."""
        last = time.monotonic() + within_s
        while len(self.results) < runs and time.monotonic() < last:
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    result = json.loads(record.value)
                    self.double += result["run_id"] in self.results
                    self.ended_at.setdefault(result["run_id"], time.time())
                    self.results[result["run_id"]] = result

    def figures(self, runs: int) -> dict[str, Any]:
        """Return what every scenario reports."""
        results = self.results.values()
        attempts = Counter(of["attempts"] for result in results for of in result["nodes"].values())
        errors = Counter(of["error"]["kind"] for r in results for of in r["nodes"].values() if of["error"])
        return {
            "runs": runs,
            "results": len(self.results),
            "double": self.double,
            "statuses": dict(Counter(result["status"] for result in results)),
            "errors": dict(errors),
            "attempts_per_node": dict(sorted(attempts.items())),
            "calls": len(self.server.calls),
            "audit": (self.stage.audit().stdout.strip().splitlines() or ["?"])[-1],
        }


async def outage(scene: Scene, runs: int, seconds: float) -> dict[str, Any]:
    """Answer 429 for a while; then count the calls meanwhile, and how soon the first run came through."""
    scene.server.configure(faults={"rate_limit": 1.0}, retry_after_s=1.0)
    begin = time.time()
    await scene.publish(runs)
    await asyncio.sleep(max(0.0, begin + seconds - time.time()))
    meanwhile = list(scene.server.calls)
    scene.server.configure(faults={})
    recovered = time.time()
    await scene.results_of(runs, 180)
    first = min((call.started_at for call in scene.server.calls[len(meanwhile) :]), default=0.0)
    return {
        "outage_s": seconds,
        "calls_meanwhile": len(meanwhile),
        "calls_in_the_first_second": sum(call.started_at < meanwhile[0].started_at + 1 for call in meanwhile),
        "first_call_after_recovery_s": round(first - recovered, 2),
        "all_done_after_recovery_s": round(max(scene.ended_at.values(), default=0.0) - recovered, 2),
        **await asyncio.to_thread(scene.figures, runs),
    }


async def budget(scene: Scene, runs: int, seconds: float) -> dict[str, Any]:
    """Give part of the work no room, lose a worker in the middle, and compare what was used with the limit."""
    scene.server.configure(
        faults={"http_500": 0.04, "truncated_json": 0.03, "schema_break": 0.03}, latency=Latency("uniform", 50, 250)
    )
    playing = asyncio.create_task(scene.publish(runs, 50))
    await asyncio.sleep(min(seconds, runs / 100))
    await asyncio.to_thread(scene.stage.replace, signal.SIGKILL)
    await playing
    await scene.results_of(runs, 240)
    used = [result["usage"]["total_tokens"] for result in scene.results.values()]
    return {
        "max_tokens": MAX_TOKENS,
        "most_used": max(used, default=0),
        "over_the_limit": sum(tokens > MAX_TOKENS for tokens in used),
        **await asyncio.to_thread(scene.figures, runs),
    }


async def malformed(scene: Scene, runs: int, _: float) -> dict[str, Any]:
    """Never answer with valid JSON."""
    scene.server.configure(faults={"truncated_json": 1.0})
    await scene.publish(runs)
    await scene.results_of(runs, 120)
    letters = scene.stage.cli_lines("dead-letter", "show", "failures", "--bootstrap", scene.stage.bootstrap)
    prompts = Counter(len({tried["prompt_hash"] for tried in letter["attempts"]}) for letter in letters)
    return {
        "dead_letters_with_raw": sum(bool(letter["raw"]) for letter in letters),
        "different_prompts_per_node": dict(prompts),  # the first, and those that carry the error
        **await asyncio.to_thread(scene.figures, runs),
    }


async def mixed(scene: Scene, runs: int, _: float) -> dict[str, Any]:
    """Have every fault at once, 4 % each."""
    faults = ("rate_limit", "http_500", "http_503", "reset", "cut_body", "malformed_body", "no_finish_reason", "length")
    faults += ("refusal", "truncated_json", "not_an_object", "schema_break", "empty_content", "http_408", "hang")
    scene.server.configure(faults=dict.fromkeys(faults, 0.03), latency=Latency("uniform", 20, 80))
    await scene.publish(runs, 50)
    await scene.results_of(runs, 240)
    most = max((len(calls) for calls in _calls_by_node(scene).values()), default=0)
    return {"most_calls_of_a_node": most, **await asyncio.to_thread(scene.figures, runs)}


def _calls_by_node(scene: Scene) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for call in scene.server.calls:
        run, node, *_ = (call.key or "/").split("/")
        found.setdefault(f"{run}/{node}", []).append(call)
    return found


Scenario = Callable[[Scene, int, float], Awaitable[dict[str, Any]]]
RETRIES = ", max_retries: 2, backoff_ms: 200, timeout_ms: 2000"
SCENARIOS: dict[str, tuple[Scenario, str]] = {
    "outage": (outage, workflow(CHAIN, RETRIES)),
    "budget": (
        budget,
        workflow(DIAMOND, RETRIES + ", max_output_tokens: 300", f"  budget: {{max_tokens: {MAX_TOKENS}}}\n"),
    ),
    "malformed": (malformed, workflow({"classify": ""}, RETRIES)),
    "mixed": (mixed, workflow(DIAMOND, RETRIES)),
}


async def main(name: str, runs: int, seconds: float) -> int:
    """Set the stage and play."""
    scenario, text = SCENARIOS[name]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-failures-")))
        server = await stack.enter_async_context(ProviderServer())
        files = {"workflow.yaml": text, "p.j2": "Classify: {{ input.text }}\n", "s.json": json.dumps(SCHEMA)}
        env = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "none-needed"}
        stage = Stage(folder, "failures", files, env)
        stack.callback(stage.close)
        await stage.open(workers=2)
        producer = AIOKafkaProducer(bootstrap_servers=stage.bootstrap, acks="all", enable_idempotence=True)
        consumer = AIOKafkaConsumer("failures.output", bootstrap_servers=stage.bootstrap, auto_offset_reset="earliest")
        for client in (producer, consumer):
            await client.start()
            stack.push_async_callback(client.stop)
        found = await scenario(Scene(stage, server, producer, consumer), runs, seconds)
    sys.stdout.write(json.dumps({"scenario": name, **found}) + "\n")
    return int(found["results"] != runs or found["audit"] != "0 violations")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.exit(asyncio.run(main(asked.scenario, asked.runs, asked.seconds)))
