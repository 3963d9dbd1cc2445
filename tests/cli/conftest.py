"""The command line as people run it: a process of its own, in a folder with a workflow."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cli.forks import forks
from tests.kafka_tools import until_no_lag

HANDLERS = """
import time

def add(inputs, context):
    return {"n": inputs["input"]["n"] + 1}

def double(inputs, context):
    if inputs["add"]["n"] < 0:
        raise ValueError("negative")
    return {"n": inputs["add"]["n"] * 2}

def wait(inputs, context):
    time.sleep(inputs["input"].get("seconds", 0))
    return {}
"""

WORKFLOW = """workflow:
  id: {id}
  version: 1.0.0
  input_schema: input.json
  nodes:
    - id: add
      type: function
      handler: nodes.py:add
    - id: twice_it
      type: function
      handler: nodes.py:double
      dependencies: [add]
      max_retries: 1
      backoff_ms: 10
"""

WAITING = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - id: hold
      type: function
      handler: nodes.py:wait
      timeout_ms: 120000
    - id: after
      type: function
      handler: nodes.py:wait
      dependencies: [hold]
"""


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """Every line of stdout, each of which must be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        """The one line of stdout."""
        (one,) = self.json
        return one


@dataclass
class Cli:
    """Runs `penstock` in `folder`; what it started is stopped at the end."""

    folder: Path
    bootstrap: str | None = None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """An environment without anybody's settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_") and k != "PENSTOCK_BOOTSTRAP"}
        own = {"PENSTOCK_HOME": str(self.folder / "home")} | (
            {"PENSTOCK_BOOTSTRAP": self.bootstrap} if self.bootstrap else {}
        )
        return kept | own

    def __call__(self, *args: str | Path, timeout: float = 120, stdin: str | None = None) -> Answer:
        """Run a command to its end, forked."""
        done = forks().run([*map(str, args)], self.folder, self.env, stdin, timeout)
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str | Path) -> subprocess.Popen[str]:
        """Start a command that stays."""
        process = subprocess.Popen(
            self._argv(args),
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def worker(self, *args: str | Path) -> subprocess.Popen[str]:
        """Start a worker and wait until it is ready."""
        process = self.start("worker", *args, "--json")
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, process.communicate()[1]
        assert json.loads(ready)["event"] == "ready"
        return process

    def _argv(self, args: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "penstock", *map(str, args)]

    def close(self) -> None:
        """End what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def provider_process(cli: Cli, *args: str) -> dict[str, str]:
    """Start a real provider; return its addresses."""
    command = [sys.executable, "-m", "benchmarks.provider", *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cli.started.append(process)
    assert process.stdout is not None
    told: dict[str, str] = json.loads(process.stdout.readline())
    return told


def start_provider(cli: Cli, monkeypatch: pytest.MonkeyPatch, latency: str, *more: str) -> dict[str, str]:
    """Start a real provider of model `m` that the workers started later use; return its addresses."""
    told = provider_process(cli, "--latency", latency, *more)
    (cli.folder / "penstock.toml").write_text(
        f'[providers.test]\nbase_url = "{told["base_url"]}"\napi_key_env = "TEST_KEY"\nmodels = ["m"]\n'
    )
    monkeypatch.setenv("TEST_KEY", "k")
    return told


def write_workflow(folder: Path, text: str = WORKFLOW) -> tuple[str, Path]:
    """Write a workflow of a new id; return the id and the file."""
    workflow_id = f"cli-{uuid4().hex[:8]}"
    file = folder / f"{workflow_id}.yaml"
    file.write_text(text.format(id=workflow_id))
    (folder / "nodes.py").write_text(HANDLERS)
    (folder / "input.json").write_text('{"type": "object", "required": ["n"]}')
    return workflow_id, file


def assert_clean(cli: Cli, workflow: str) -> None:
    """Wait until the workflow is at rest, its positions committed, a killed worker's successor at work; then audit it."""
    assert cli.bootstrap is not None
    asyncio.run(until_no_lag(cli.bootstrap, f"penstock.{workflow}"))
    told = cli("audit", "run", workflow).out.rstrip()
    assert told.endswith("0 violations"), told


@pytest.fixture
def workflow(tmp_path: Path) -> tuple[str, Path]:
    """A workflow of two functions, the second of which fails on a negative number."""
    return write_workflow(tmp_path)


@pytest.fixture
def waiting(tmp_path: Path) -> tuple[str, Path]:
    """A workflow that takes as long as its input says."""
    return write_workflow(tmp_path, WAITING)


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Cli]:
    """The command line without a broker."""
    cli = Cli(tmp_path)
    yield cli
    cli.close()


@pytest.fixture
def cli(tmp_path: Path, bootstrap: str) -> Iterator[Cli]:
    """The command line with the session's broker in its settings."""
    cli = Cli(tmp_path, bootstrap)
    yield cli
    cli.close()
