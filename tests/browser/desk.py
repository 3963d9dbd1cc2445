"""What stands behind the page in these tests: a provider, a worker and the console, each a real process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN = "a-token-for-the-browser"
FILES = Path(__file__).parent / "workflow"
ROOT = Path(__file__).parents[2]
PENSTOCK = str(Path(sys.executable).parent / "penstock")


@dataclass
class Desk:
    """The workflow `help-desk` in `folder`, on the Kafka at `bootstrap`; `url` is the console's."""

    folder: Path
    bootstrap: str
    url: str = ""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def open(self) -> None:
        """Start all of it; return when the worker and the console are ready."""
        shutil.copytree(FILES, self.folder, dirs_exist_ok=True)
        config = self.folder / "provider.json"
        provider = self._start("provider", ROOT, sys.executable, "-m", "benchmarks.provider", "--config", str(config))
        (self.folder / "penstock.toml").write_text(
            f'[providers.test]\nbase_url = "{provider["base_url"]}"\napi_key_env = "TEST_KEY"\nmodels = ["m"]\n'
            "prices = {m = {input_per_mtok = 1.0, output_per_mtok = 4.0}}\n"
        )
        self._start("worker", self.folder, PENSTOCK, "worker", "workflow.yaml", "--json")
        told = self._start("console", self.folder, PENSTOCK, "console", "--port", "0", "--json")
        self.url = str(told["url"]).rstrip("/")

    @property
    def env(self) -> dict[str, str]:
        """An environment without anybody's settings."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "PENSTOCK_"))}
        own = {"BOOTSTRAP": self.bootstrap, "HOME": str(self.folder / "home"), "CONSOLE_TOKEN": TOKEN}
        return {**kept, "TEST_KEY": "k", **{f"PENSTOCK_{name}": value for name, value in own.items()}}

    def _start(self, name: str, where: Path, *command: str) -> dict[str, Any]:
        """Start a process and return its first line, which says that it is ready."""
        log = self.folder / f"{name}.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                command, cwd=where, env=self.env, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{name} ended: {log.read_text()[-3000:]}"
        told: dict[str, Any] = json.loads(line)
        return told

    def publish(self, run_id: str, question: str, city: str = "Delft") -> None:
        """Publish a question as any producer does."""
        asked = json.dumps({"question": question, "city": city})
        command = [PENSTOCK, "publish", "help-desk", "--run-id", run_id, "--input", asked]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        """End every process that was started."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
