"""A stage for drills: a broker of its own, a workflow in a folder that goes away, and workers that are processes.

Only what a user has: the command line, and signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Stage:
    """A broker of its own, a workflow and its workers, in a folder that goes away."""

    def __init__(
        self, folder: Path, workflow: str, files: Mapping[str, str], env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.workflow = workflow
        for name, content in files.items():
            (folder / name).write_text(content)
        self.env = {**os.environ, "PENSTOCK_HOME": str(folder / "home"), **(env or {})}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.restarts = 0
        self.bad_exits: list[int] = []
        self.bootstrap = ""
        self.broker_pid = 0

    def cli_lines(self, *words: str) -> list[dict[str, object]]:
        """Run a command and return its lines of JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "penstock", *words, "--json"], env=self.env, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"penstock {' '.join(words)}: exit {done.returncode}\n{done.stderr.decode()[-2000:]}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def cli(self, *words: str) -> dict[str, object]:
        """Run a command and return its last line of JSON."""
        return self.cli_lines(*words)[-1]

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Run the auditor."""
        return subprocess.run(
            [sys.executable, "-m", "penstock", "audit", "run", self.workflow, "--bootstrap", self.bootstrap],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def start_broker(self) -> None:
        """Start the embedded Kafka, at the same port as before."""
        said = self.cli("kafka", "start")
        self.bootstrap, self.broker_pid = str(said["bootstrap"]), int(str(said["pid"]))

    def start_worker(self, *options: str) -> None:
        """Start a worker."""
        command = [sys.executable, "-m", "penstock", "worker", "workflow.yaml", "--bootstrap", self.bootstrap, "--json"]
        with (self.folder / f"worker-{len(self.workers) + self.restarts}.log").open("wb") as told:
            worker = subprocess.Popen(
                [*command, *options], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=told
            )
        self.workers.append(worker)

    def replace(self, how: signal.Signals) -> None:
        """End the oldest worker and start another one at once, as a supervisor does."""
        worker = self.workers.pop(0)
        worker.send_signal(how)
        code = worker.wait(90)
        if how == signal.SIGTERM and code:
            self.bad_exits.append(code)
        self.restarts += 1
        self.start_worker()

    async def open(self, workers: int) -> None:
        """Start the broker and so many workers; return when they are ready."""
        await asyncio.to_thread(self.start_broker)
        await self.open_workers(workers)

    async def open_workers(self, workers: int) -> None:
        """Start so many workers; return when they are ready."""
        for _ in range(workers):
            self.start_worker()
        await self.ready()

    async def ready(self) -> None:
        """Return when the workers started last are ready."""
        for worker in self.workers:
            assert worker.stdout is not None
            ready = await asyncio.to_thread(worker.stdout.readline)
            assert ready, f"a worker ended: {(self.folder / 'worker-0.log').read_text()[-2000:]}"

    def stop_workers(self) -> None:
        """Have the workers drain and leave."""
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(60)
            worker.kill()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()
        self.workers.clear()

    def close(self) -> None:
        """End everything."""
        self.stop_workers()
        with contextlib.suppress(SystemExit):
            self.cli("kafka", "stop")
