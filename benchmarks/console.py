"""The console with 10,000 runs: `python -m benchmarks.console [--runs 10000]`; one JSON line.

A broker, a worker and a console of their own, all real. When the runs have ended, each question is asked over HTTP (milliseconds: the
median and the worst of `--repeat`); then the console is killed, its read model deleted, and it must answer the same once it is made anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from benchmarks.stage import Stage

TOKEN = "bench"
WORKFLOW = "bench-console"
FILES = {
    "workflow.yaml": f"""workflow:
  id: {WORKFLOW}
  nodes:
    - {{id: classify, type: function, handler: nodes.py:classify}}
    - {{id: extract, type: function, handler: nodes.py:echo, dependencies: [classify]}}
    - {{id: rate, type: function, handler: nodes.py:rate, dependencies: [classify], max_retries: 0}}
""",
    "nodes.py": """
def classify(inputs, context):
    return {"label": inputs["input"]["kind"]}

def echo(inputs, context):
    return {"text": inputs["input"]["text"][:200]}

def rate(inputs, context):
    if inputs["input"]["n"] % 100 == 99:
        raise ValueError("cannot be rated")
    return {"rating": inputs["input"]["n"] % 5}
""",
}
QUESTIONS = {
    "workflows": "/v1/workflows",
    "workflow": f"/v1/workflows/{WORKFLOW}",
    "runs": "/v1/runs?limit=50",
    "runs by status": "/v1/runs?status=failed&limit=50",
    "runs by node": "/v1/runs?node=rate&node_status=failed&limit=50",
    "runs by text, one": "/v1/runs?q=number%204711",
    "runs by text, none": "/v1/runs?q=nothing%20like%20it",
    "runs by text, all": "/v1/runs?q=invoice%20number&limit=50",
    "runs by status and text": "/v1/runs?status=failed&q=cannot%20be%20rated",
    "runs by cost": "/v1/runs?min_cost=0&max_cost=1&limit=50",
    "runs by time": "/v1/runs?started_after=2020-01-01T00:00:00Z&limit=50",
    "200 runs": "/v1/runs?limit=200",
    "dead letters": "/v1/dead-letters?limit=50",
    "dead letters by cause": "/v1/dead-letters/groups",
}


class Console:
    """A console process and a client."""

    def __init__(self, stage: Stage) -> None:
        env = {**stage.env, "PENSTOCK_CONSOLE_TOKEN": TOKEN}
        command = [sys.executable, "-m", "penstock", "console", "--port", "0", "--json", "--bootstrap", stage.bootstrap]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        url = json.loads(self.process.stdout.readline())["url"]
        self.http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=300)

    def get(self, path: str) -> Any:
        """Ask, waiting for a read model that is being made."""
        while (answer := self.http.get(path)).status_code == 503:
            pass
        answer.raise_for_status()
        return answer.json()

    def kill(self) -> None:
        """End it without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.http.close()


def asked(console: Console, repeat: int) -> dict[str, dict[str, float]]:
    """Return how many milliseconds each question took."""
    took: dict[str, dict[str, float]] = {}
    for name, path in QUESTIONS.items():
        times = []
        for _ in range(repeat):
            began = time.perf_counter()
            console.get(path)
            times.append((time.perf_counter() - began) * 1000)
        took[name] = {"median": round(median(times), 1), "max": round(max(times), 1)}
    return took


def whole(console: Console) -> list[Any]:
    """Return all that the console says of the runs."""
    found: list[Any] = [console.get(path) for path in QUESTIONS.values()]
    cursor = ""
    while cursor is not None:
        page = console.get(f"/v1/runs?limit=200{f'&cursor={cursor}' if cursor else ''}")
        found.append(page["items"])
        cursor = page["next_cursor"]
    return found


async def measure(runs: int, repeat: int, folder: Path) -> dict[str, Any]:
    """Run it all; return the figures."""
    stage = Stage(folder, WORKFLOW, FILES)
    inputs = ({"n": n, "kind": "invoice", "text": f"invoice number {n} " + "and so on " * 40} for n in range(runs))
    (folder / "inputs.jsonl").write_text("".join(json.dumps(value) + "\n" for value in inputs))
    console = None
    try:
        await stage.open(1)
        console = Console(stage)
        began = time.perf_counter()
        published = ["publish", WORKFLOW, "--input-file", str(folder / "inputs.jsonl"), "--bootstrap", stage.bootstrap]
        stage.cli_lines(*published)
        while True:
            counts = console.get(f"/v1/workflows/{WORKFLOW}")["runs"]
            if counts["total"] == runs and counts["running"] == 0 and console.get("/v1/status")["behind"] == 0:
                break
            await asyncio.sleep(0.2)
        followed_s = time.perf_counter() - began
        took, before = asked(console, repeat), whole(console)
        console.kill()
        for file in (folder / "home").glob("console.sqlite3*"):
            file.unlink()
        began = time.perf_counter()
        console = Console(stage)
        console.get("/v1/runs?limit=1")
        rebuilt_s = time.perf_counter() - began
        same = whole(console) == before
        size = os.stat(folder / "home" / "console.sqlite3").st_size
    finally:
        if console is not None:
            console.kill()
        await asyncio.to_thread(stage.close)
    return {
        "runs": runs,
        "slowest_ms": max(one["max"] for one in took.values()),
        "took_ms": took,
        "run_and_followed_s": round(followed_s, 1),
        "rebuilt_s": round(rebuilt_s, 1),
        "same_after_rebuild": same,
        "megabytes": round(size / 1e6, 1),
    }


def main() -> None:
    """Print the figures; exit 1 if the answers differ after the rebuild."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(arguments.runs, arguments.repeat, Path(folder)))
    print(json.dumps(figures))
    raise SystemExit(0 if figures["same_after_rebuild"] else 1)


if __name__ == "__main__":
    main()
