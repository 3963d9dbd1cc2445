"""A real worker's lines: JSON each, those of a run say which, and no secret is in any."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, write_workflow

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "hunter2-hunter2-hunter2"

WORKFLOW = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - {{id: talk, type: function, handler: talk.py, max_retries: 1, backoff_ms: 10}}
    - {{id: apart, type: function, handler: talk.py:apart, executor: process, dependencies: [talk]}}
"""
HANDLER = """
import logging
import os

import structlog

def handle(inputs, context):
    context.logger.warning("mine", attempt_is=context.attempt)
    structlog.get_logger("elsewhere").warning("not bound", key=os.environ["MY_API_KEY"])
    logging.getLogger("a.library").error("of a library, attempt %s with %s", context.attempt, os.environ["MY_API_KEY"])
    if context.attempt == 1:
        raise ValueError("once, with " + os.environ["MY_API_KEY"])
    return {}

def apart(inputs, context):
    context.logger.error("from afar")
    return {}
"""


def lines_of(cli: Cli, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[str, str]:
    """Run a workflow to its end; return what the worker wrote to stderr, and the workflow's id."""
    monkeypatch.setenv("MY_API_KEY", SECRET)
    (cli.folder / "talk.py").write_text(HANDLER)
    workflow, file = write_workflow(cli.folder, WORKFLOW)
    worker = cli.worker(file, *options)
    cli("publish", workflow, "--input", '{"text": "a private text"}', "--run-id", "r1", "--traceparent", TRACE)
    assert cli("consume", workflow, "--run-id", "r1", "--json").object["status"] == "success"
    worker.terminate()
    return worker.communicate()[1], workflow


def test_json_lines_of_a_run_say_which(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    said, workflow = lines_of(cli, monkeypatch, "--log-format", "json")
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    of_run = [line for line in lines if line.get("run_id")]
    told = [(line["event"], line["node"], line["attempt"]) for line in of_run]
    assert told == [
        ("mine", "talk", 1),
        ("not bound", "talk", 1),
        ("of a library, attempt 1 with [redacted]", "talk", 1),
        ("attempt failed", "talk", 1),
        ("mine", "talk", 2),
        ("not bound", "talk", 2),
        ("of a library, attempt 2 with [redacted]", "talk", 2),
        ("from afar", "apart", 1),
    ]
    assert {line["trace_id"] for line in of_run} == {TRACE[3:35]}
    assert {line["run_id"] for line in of_run} == {"r1"}
    assert {line.get("level") for line in lines} >= {"info", "warning", "error"}
    assert f"worker ready: {workflow}, 4 partitions" in [line["event"] for line in lines]
    assert SECRET not in said
    assert "private text" not in said


def test_for_people(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_LOG_FORMAT", "console")
    said, workflow = lines_of(cli, monkeypatch, "--log-level", "warning")
    assert f"worker ready: {workflow}" in said
    assert "attempt failed" not in said
    (mine, again) = (line for line in said.splitlines() if " mine" in line)
    for part in ("run_id=r1", "node=talk", "attempt=1", f"trace_id={TRACE[3:35]}"):
        assert part in mine
    assert "attempt=2" in again
    assert SECRET not in said


def test_a_terminal_is_written_for_people(tmp_path: Path) -> None:
    """Without a broker a worker only complains; on a terminal it does so in plain words."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "penstock", "worker", "w.yaml", "--bootstrap", "127.0.0.1:1"]
    (tmp_path / "w.yaml").write_text(
        "workflow:\n  id: w\n  version: 1.0.0\n  nodes:\n    - {id: a, type: function, handler: a.py}\n"
    )
    (tmp_path / "a.py").write_text("def handle(inputs, context):\n    return {}\n")
    done = subprocess.run(command, cwd=tmp_path, stderr=theirs, stdout=subprocess.DEVNULL, timeout=60, check=False)
    os.close(theirs)
    said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 1
    assert any(line.startswith("penstock: no Kafka broker") for line in said.splitlines()), said
