"""Replays of a thousand runs, from outside: a real worker, real Kafka, and a real provider that counts its calls.

    python -m benchmarks.replays reuse|shadow|killed|travel [--runs N] [--looks N]

reuse: a function is changed, then one prompt of three; recorded answers serve again. shadow: another version of every run; production is as it
was. killed: a replay is killed half way and started again. travel: runs as they stood at random times. One JSON line; exit 1 if anything is not as it
must be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.provider import ProviderServer
from benchmarks.provider.config import Config, Latency
from benchmarks.stage import Stage
from penstock.client import connections
from penstock.client.errors import UnknownRun
from penstock.client.look import Look
from penstock.client.runs import as_of, find_run, with_nodes
from penstock.client.views import detail_of
from penstock.client.workflows import Workflow, topics_on, workflow_called
from streams.engine.config import EngineConfig

ID = "replays"
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}
WORKFLOW = f"""\
workflow:
  id: {ID}
  version: 1.0.0
  nodes:
    - {{id: first, type: llm, model: m, prompt_template: first.j2, output_schema: s.json}}
    - {{id: second, type: llm, model: m, prompt_template: second.j2, output_schema: s.json, dependencies: [first]}}
    - {{id: third, type: llm, model: m, prompt_template: third.j2, output_schema: s.json}}
    - {{id: total, type: function, handler: total.py, dependencies: [second, third]}}
"""
TOTAL = """\
def handle(inputs, context):
    n = inputs["input"]["n"]
    return {"big": n > LIMIT, "by": "LIMIT"}
"""
FILES = {
    "workflow.yaml": WORKFLOW,
    "s.json": json.dumps(SCHEMA),
    "first.j2": "first: {{ input.n }}",
    "second.j2": "second: {{ input.n }} {{ first.label }}",
    "third.j2": "third: {{ input.n }}",
    "total.py": TOTAL.replace("LIMIT", "100"),
}


class Scene:
    """What a scenario plays with."""

    def __init__(self, stage: Stage, server: ProviderServer, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer):
        self.stage = stage
        self.server = server
        self.results: dict[tuple[str, int], dict[str, Any]] = {}
        self.double = 0
        self.looks = 200
        self._producer = producer
        self._consumer = consumer

    @property
    def calls(self) -> int:
        """How many calls the provider has had."""
        return len(self.server.calls)

    async def publish(self, runs: int) -> None:
        """Publish inputs."""
        for n in range(runs):
            await self._producer.send(f"{ID}.input", json.dumps({"n": n}).encode(), f"run-{n:05d}".encode())
        await self._producer.flush()

    async def until(self, results: int, within_s: float = 240) -> None:
        """Read results until there are so many; those that are there twice count once."""
        last = time.monotonic() + within_s
        while len(self.results) < results and time.monotonic() < last:
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    result = json.loads(record.value)
                    key = result["run_id"], result["epoch"]
                    self.double += key in self.results
                    self.results[key] = result

    async def begin(self, runs: int) -> None:
        """Run every input once."""
        await self.publish(runs)
        await self.until(runs)

    async def changed(self, **files: str) -> None:
        """Change files and have a worker with them instead of the one that runs."""
        for name, content in files.items():
            (self.stage.folder / name.replace("_", ".")).write_text(content)
        await asyncio.to_thread(self.stage.replace, signal.SIGTERM)
        out = self.stage.workers[-1].stdout
        assert out is not None
        await asyncio.to_thread(out.readline)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "penstock", *words, "--bootstrap", self.stage.bootstrap, "--json"],
            cwd=self.stage.folder,
            env=self.stage.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def lines(self, *words: str) -> tuple[list[dict[str, Any]], float]:
        """Run a command; return its lines of JSON and how many seconds it took."""
        began = time.monotonic()
        process = self.start(*words)
        out, err = await asyncio.to_thread(process.communicate)
        if process.returncode:
            raise SystemExit(f"penstock {' '.join(words)}: exit {process.returncode}\n{err[-2000:]}")
        return [json.loads(line) for line in out.splitlines()], round(time.monotonic() - began, 1)


Figures = dict[str, Any]
REPLAY = ("replay", ID, "--from", "earliest", "--yes")


async def reuse(scene: Scene, runs: int) -> Figures:
    """Change a function, then one prompt of three."""
    await scene.begin(runs)
    before = scene.calls
    await scene.changed(total_py=TOTAL.replace("LIMIT", "200"))
    lines, took = await scene.lines(*REPLAY, "--reuse-responses")
    await scene.until(2 * runs)
    again = [result for (_, epoch), result in scene.results.items() if epoch]
    function = {
        "calls": scene.calls - before,
        "results": len(again),
        "by_the_new": sum(result["outputs"]["total"]["by"] == "200" for result in again),
        "statuses": dict(Counter(line["status"] for line in lines)),
        "seconds": took,
    }
    before = scene.calls
    await scene.changed(third_j2="third, anew: {{ input.n }}")
    _, took = await scene.lines(*REPLAY, "--reuse-responses", "--again")
    third = {"calls": scene.calls - before, "seconds": took}
    before = scene.calls
    await scene.changed(first_j2="first, anew: {{ input.n }}")
    _, took = await scene.lines(*REPLAY, "--reuse-responses", "--again")
    await scene.until(4 * runs)
    latest = {run_id: result for (run_id, _), result in sorted(scene.results.items(), key=lambda item: item[0][1])}
    asked = sum(
        not result["nodes"][node]["reused"] for result in latest.values() for node in ("first", "second", "third")
    )
    first = {"calls": scene.calls - before, "not_reused": asked, "seconds": took}
    good = (
        (function["calls"], function["results"], function["by_the_new"]) == (0, runs, runs)
        and third["calls"] == runs
        and runs < first["calls"] <= 2 * runs
        and first["calls"] == first["not_reused"]
    )
    return {"function_changed": function, "prompt_changed": third, "upper_prompt_changed": first, "good": good}


async def shadow(scene: Scene, runs: int) -> Figures:
    """Run another version of everything, and compare from outside."""
    await scene.begin(runs)
    (scene.stage.folder / "other.yaml").write_text(
        WORKFLOW.replace("total.py", "other.py").replace("second.j2", "other.j2")
    )
    (scene.stage.folder / "other.py").write_text(FILES["total.py"].replace("n > 100", "n > 300"))
    (scene.stage.folder / "other.j2").write_text("other: {{ input.n }}")
    standing, before = await at_rest(scene.stage.bootstrap), scene.calls
    command = (*REPLAY, "--shadow", "other.yaml", "--report", "report.html")
    lines, took = await scene.lines(*command, "--reuse-responses")
    after = await standing_of(scene.stage.bootstrap)
    *diffs, last = lines
    production = {run_id: result["outputs"] for (run_id, _), result in scene.results.items()}
    differ = sum(production[line["run_id"]] != line["outputs"]["after"] for line in diffs)
    summary = last["summary"]
    reused = {"calls": scene.calls - before, "reused": summary["reused"], "seconds": took}
    before = scene.calls
    whole, took = await scene.lines(*command)
    good = (
        standing == after
        and len(diffs) == len({line["run_id"] for line in diffs}) == runs
        and all(production[line["run_id"]] == line["outputs"]["before"] for line in diffs)
        and (summary["changed"], summary["equal"], summary["failed"]) == (differ, runs - differ, 0)
        and reused["calls"] == runs
        and (len(whole), scene.calls - before) == (runs + 1, 3 * runs)
    )
    return {
        "production_as_it_was": standing == after,
        "places_looked_at": len(standing["ends"]),
        "diff_lines": len(diffs),
        "summary": summary,
        "differ_seen_from_outside": differ,
        "with_reused_answers": reused,
        "without": {"calls": scene.calls - before, "seconds": took},
        "report_kB": (scene.stage.folder / "report.html").stat().st_size // 1000,
        "good": good,
    }


async def at_rest(bootstrap: str) -> dict[str, Any]:
    """Wait until production writes and commits nothing any more; return how it stands."""
    known: dict[str, Any] = {}
    while (found := await standing_of(bootstrap)) != known:
        known = found
        await asyncio.sleep(2)
    return known


async def standing_of(bootstrap: str) -> dict[str, Any]:
    """Return production's end offsets and its group's committed ones."""
    admin, reader = AIOKafkaAdminClient(bootstrap_servers=bootstrap), AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await admin.start()
    await reader.start()
    try:
        places = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics()
            if topic["topic"].startswith((f"{ID}.", f"penstock.{ID}-"))
            for partition in topic["partitions"]
        ]
        return {
            "ends": await reader.end_offsets(places),
            "committed": await admin.list_consumer_group_offsets(f"penstock.{ID}"),
        }
    finally:
        await reader.stop()
        await admin.close()


async def killed(scene: Scene, runs: int) -> Figures:
    """Kill a replay half way with SIGKILL, and start it again."""
    await scene.begin(runs)
    before = scene.calls
    first = scene.start(*REPLAY, "--rate", str(runs / 10))
    assert first.stdout is not None
    for _ in range(runs // 2):
        await asyncio.to_thread(first.stdout.readline)
    first.kill()
    first.wait()
    lines, took = await scene.lines(*REPLAY, "--rate", str(runs / 10))
    await scene.until(2 * runs)
    await scene.until(2 * runs + 1, within_s=5)
    epochs = Counter(run_id for run_id, epoch in scene.results if epoch)
    found = {
        "replayed": len(epochs),
        "more_than_once": sum(count > 1 for count in epochs.values()),
        "calls": scene.calls - before,
        "statuses": dict(Counter(line["status"] for line in lines)),
        "seconds_second_call": took,
    }
    good = (found["replayed"], found["more_than_once"], found["calls"]) == (runs, 0, 3 * runs)
    return {**found, "good": good and len(lines) == runs}


async def travel(scene: Scene, runs: int) -> Figures:
    """Look at random runs while they run and are replayed; then again, as of then.

    A look counts where the one before and the one after the noted time are equal: then the run stood so at that time.
    """
    config, chance = EngineConfig(scene.stage.bootstrap), random.Random(7)
    workflow = workflow_called(ID, await topics_on(config))
    working = asyncio.create_task(_busy(scene, runs))
    seen: list[tuple[str, int, Any]] = []
    async with connections.reader(config) as reader:
        while len(seen) < scene.looks and not working.done():
            run_id = f"run-{chance.randrange(runs):05d}"
            with contextlib.suppress(UnknownRun):
                first = await _shown(reader, workflow, run_id)
                at = time.time_ns() // 1_000_000
                await asyncio.sleep(0.2)  # what a worker has stamped is written by then
                if first == await _shown(reader, workflow, run_id):
                    seen.append((run_id, at, first))
        working.cancel()
        await asyncio.wait({working})
        wrong = [(run_id, at) for run_id, at, live in seen if await _shown(reader, workflow, run_id, at) != live]
    by_command = 0
    for run_id, at, live in chance.sample(seen, 5):
        then = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
        lines, _ = await scene.lines("runs", "show", run_id, "--workflow", ID, "--at", then)
        by_command += lines == [json.loads(json.dumps(live))]
    statuses = Counter(live["status"] for _, _, live in seen)
    good = (len(seen), wrong, by_command) == (scene.looks, [], 5)
    return {
        "looked": len(seen),
        "live": dict(statuses),
        "wrong": wrong[:5],
        "equal_by_the_command": by_command,
        "good": good,
    }


async def _shown(reader: AIOKafkaConsumer, workflow: Workflow, run_id: str, at: int | None = None) -> dict[str, Any]:
    state = await find_run(reader, Look({ID: workflow}), run_id)
    return detail_of(await (with_nodes(reader, state) if at is None else as_of(reader, state, at)))


async def _busy(scene: Scene, runs: int) -> None:
    await scene.publish(runs)
    while True:
        await scene.lines(*REPLAY, "--again", "--rate", "5")


SCENARIOS: dict[str, Callable[[Scene, int], Awaitable[Figures]]] = {
    "reuse": reuse,
    "shadow": shadow,
    "killed": killed,
    "travel": travel,
}
RUNS = {"reuse": 1000, "shadow": 500, "killed": 500, "travel": 20}


async def main(name: str, runs: int, looks: int) -> int:
    """Set the stage, play, audit."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-replays-")))
        server = await stack.enter_async_context(ProviderServer(Config(latency=Latency("fixed", 20))))
        toml = f'[providers.test]\nbase_url = "{server.base_url}"\napi_key_env = "REPLAYS_KEY"\nmodels = ["m"]\n'
        stage = Stage(folder, ID, {**FILES, "penstock.toml": toml}, {"REPLAYS_KEY": "k"})
        stack.callback(stage.close)
        await stage.open(workers=1)
        producer = AIOKafkaProducer(bootstrap_servers=stage.bootstrap)
        consumer = AIOKafkaConsumer(f"{ID}.output", bootstrap_servers=stage.bootstrap, auto_offset_reset="earliest")
        for client in (producer, consumer):
            await client.start()
            stack.push_async_callback(client.stop)
        scene = Scene(stage, server, producer, consumer)
        scene.looks = looks
        began = time.monotonic()
        found = {"scenario": name, "runs": runs, **await SCENARIOS[name](scene, runs), "double": scene.double}
        found["seconds"] = round(time.monotonic() - began, 1)
        await asyncio.sleep(2)
        audit = await asyncio.to_thread(stage.audit)
        found["audit"] = audit.stdout.strip().splitlines()[-1] if audit.stdout.strip() else audit.stderr[-300:]
    sys.stdout.write(json.dumps(found) + "\n")
    return int(not found["good"] or bool(found["double"]) or audit.returncode != 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--looks", type=int, default=200, help="how often travel looks at a run")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.exit(asyncio.run(main(asked.scenario, asked.runs or RUNS[asked.scenario], asked.looks)))
