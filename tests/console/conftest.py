"""A console as people run it: a process of its own beside a worker, on the session's Kafka."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import pytest

from tests.cli.conftest import Cli, write_workflow

T = TypeVar("T")
TOKEN = "a-token-for-tests"
PATIENCE_S = 90

GATED = """workflow:
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
    - id: gate
      type: review
      assignees: [ann]
      timeout_ms: 600000
      dependencies: [twice_it]
"""


@dataclass
class Console:
    """A running console; `anonymous` asks without the token."""

    cli: Cli
    process: subprocess.Popen[str]
    url: str

    def __post_init__(self) -> None:
        self.http = httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        self.anonymous = httpx2.Client(base_url=self.url, timeout=60)

    @classmethod
    def start(cls, cli: Cli, *args: str) -> Console:
        """Start one; return when it listens and its read model is made."""
        process = cli.start("console", "--port", "0", "--json", *args)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        running = cls(cli, process, json.loads(line)["url"].rstrip("/"))
        running.get("/v1/runs")
        return running

    def _ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Ask again while it says 503, as it does after some seconds each time until its read model is made."""
        while (answer := self.http.request(method, path, **request)).status_code == 503:
            pass  # the test's timeout is the limit
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """Return what a question is answered."""
        answer = self._ask("GET", path, params=query or None)  # an empty one would take the path's own away
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int, **headers: str) -> Any:
        """Ask for a change; return the answer."""
        answer = self._ask("POST", path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def until(self, path: str, enough: Callable[[Any], T], **query: Any) -> T:
        """Ask after each change until the answer is enough; return what `enough` made of it."""
        last = time.monotonic() + PATIENCE_S
        with self.http.stream("GET", "/v1/events") as changes:
            for _ in changes.iter_lines():
                found = enough(said := self.get(path, **query))
                if found:
                    return found
                if time.monotonic() > last:
                    break
        raise AssertionError(f"{path} {query}: {said}")

    def start_run(self, workflow: str, value: Any, **headers: str) -> str:
        """Start a run; return its id."""
        return str(self.post(f"/v1/workflows/{workflow}/runs", {"input": value}, 202, **headers)["run_id"])

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.anonymous.close()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; return its exit code."""
        self.close()
        self.process.send_signal(how)
        return self.process.wait(30)

    def delete_read_model(self) -> None:
        """Delete its file, as anybody may while it does not run."""
        for file in (self.cli.folder / "home").glob("console.sqlite3*"):
            file.unlink()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, bootstrap: str) -> Iterator[tuple[Console, str]]:
    """A worker of a workflow with a gate, and a console; the console, and the workflow's id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_CONSOLE_TOKEN", TOKEN)
        folder = tmp_path_factory.mktemp("console")
        cli = Cli(folder, bootstrap)
        try:
            workflow, file = write_workflow(folder, GATED)
            cli.worker(file)
            running = Console.start(cli)
            yield running, workflow
            running.close()
        finally:
            cli.close()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def console(desk: tuple[Console, str]) -> Console:
    """The console."""
    return desk[0]


@pytest.fixture
def workflow(desk: tuple[Console, str]) -> str:
    """The workflow's id."""
    return desk[1]
