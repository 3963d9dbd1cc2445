"""The node kinds as people run them: real workers, real apps, real HTTP, and kill -9 in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.cli.conftest import Cli, assert_clean, start_provider, write_workflow

pytestmark = pytest.mark.kafka

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def publish(cli: Cli, workflow: str, inputs: Sequence[Any]) -> None:
    lines = cli.folder / f"{workflow}.jsonl"
    lines.write_text("".join(json.dumps(each) + "\n" for each in inputs))
    assert cli("publish", workflow, "--input-file", lines).code == 0


def results(cli: Cli, workflow: str, count: int) -> list[dict[str, Any]]:
    return cli("consume", workflow, "--max", str(count), "--timeout", "90", "--json", timeout=120).json


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def until_lines(path: Path, count: int) -> None:
    while len(lines_of(path)) < count:
        pass  # the test's timeout is the limit


# ---- items ----------------------------------------------------------------------------------------------------------

ITEMS = """workflow:
  id: {id}
  nodes:
    - {{id: each, type: function, handler: "items.py:work", for_each: input.items, concurrency: 8}}
    - {{id: count, type: function, handler: "items.py:count", dependencies: [each]}}
"""
ITEMS_HANDLER = """
import pathlib, time

LOG = pathlib.Path(__file__).parent / "items.log"

def work(inputs, context):
    with LOG.open("a") as log:
        log.write(f"{inputs['index']}\\n")
    time.sleep(0.02)
    return {"index": inputs["index"], "item": inputs["item"]}

def count(inputs, context):
    return {"indices": [item["index"] for item in inputs["each"]["items"]]}
"""


def test_two_hundred_items_and_a_kill(cli: Cli) -> None:
    (cli.folder / "items.py").write_text(ITEMS_HANDLER)
    workflow, file = write_workflow(cli.folder, ITEMS)
    worker = cli.worker(file)
    publish(cli, workflow, [{"items": list(range(200))}])
    until_lines(cli.folder / "items.log", 60)
    worker.kill()
    worker.wait()
    cli.worker(file)
    (result,) = results(cli, workflow, 1)
    assert result["outputs"]["count"]["indices"] == list(range(200))
    made = Counter(lines_of(cli.folder / "items.log"))
    assert len(made) == 200
    assert sum(times - 1 for times in made.values()) <= 8
    assert_clean(cli, workflow)


# ---- work that is done once -----------------------------------------------------------------------------------------

ONCE = """workflow:
  id: {id}
  nodes:
    - {{id: pay, type: function, handler: once.py, idempotency_key: "pay-${{input.key}}"}}
"""
ONCE_HANDLER = """
import pathlib

def handle(inputs, context):
    with (pathlib.Path(__file__).parent / "paid.log").open("a") as log:
        log.write(context.idempotency_key + "\\n")
    return {"paid_by": context.run_id}
"""


def test_fifty_runs_with_one_key_over_two_workers(cli: Cli) -> None:
    (cli.folder / "once.py").write_text(ONCE_HANDLER)
    workflow, file = write_workflow(cli.folder, ONCE)
    workers = [cli.worker(file), cli.worker(file)]
    publish(cli, workflow, [{"key": 7, "n": n} for n in range(25)])
    until_lines(cli.folder / "paid.log", 1)
    for worker in workers:
        worker.kill()
        worker.wait()
        publish(cli, workflow, [{"key": 7, "n": [worker.pid, n]} for n in range(13)])
        cli.worker(file)
    found = results(cli, workflow, 51)
    assert {result["status"] for result in found} == {"success"}
    assert len({json.dumps(result["outputs"]) for result in found}) == 1
    paid = lines_of(cli.folder / "paid.log")
    assert set(paid) == {"pay-7"}
    assert len(paid) <= 2  # the one that was killed in it, if it was
    assert_clean(cli, workflow)


# ---- external nodes -------------------------------------------------------------------------------------------------


@pytest.fixture
def scoring(cli: Cli) -> tuple[str, Path]:
    """The external-scoring example under an id of its own, with its apps."""
    text = (WORKFLOWS / "external-scoring" / "workflow.yaml").read_text()
    workflow, file = write_workflow(cli.folder, text.replace("external-scoring", "{id}"))
    (cli.folder / "handlers").mkdir()
    for name in ("handlers/verdict.py", "input.json", "app.py", "answer.py"):
        source = (WORKFLOWS / "external-scoring" / name).read_text()
        (cli.folder / name).write_text(source.replace("external-scoring", workflow))
    return workflow, file


# Without its web server, which binds a fixed port.
FAUST = pytest.param(["app.py", "worker", "--without-web", "-l", "error"], id="faust")


@pytest.mark.parametrize("app", [pytest.param(["answer.py"], id="aiokafka"), FAUST])
def test_an_app_that_is_killed_answers_each_once(app: list[str], cli: Cli, scoring: tuple[str, Path]) -> None:
    workflow, file = scoring
    cli.worker(file)
    publish(cli, workflow, [{"text": "x" * (n % 60 + 1)} for n in range(200)])
    first = start_app(cli, app)
    cli("consume", workflow, "--max", "20", "--timeout", "90", timeout=120)
    first.kill()
    first.wait()
    start_app(cli, app)
    found = results(cli, workflow, 200)
    assert len({result["run_id"] for result in found}) == 200
    assert {result["status"] for result in found} == {"success"}, (cli.folder / "app.log").read_text()[-3_000:]
    assert_clean(cli, workflow)


def start_app(cli: Cli, app: list[str]) -> subprocess.Popen[str]:
    session = {"BROKER_SESSION_TIMEOUT": "6", "BROKER_HEARTBEAT_INTERVAL": "2"}  # faust's; by itself a minute
    env = {**cli.env, **session, "PENSTOCK_BOOTSTRAP": cli.bootstrap or "", "PYTHONPATH": str(WORKFLOWS.parent)}
    with (cli.folder / "app.log").open("a") as log:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(
            [sys.executable, *app], cwd=cli.folder, env=env, stdout=log, stderr=subprocess.STDOUT, text=True
        )
    cli.started.append(process)
    return process


# ---- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def provider(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A provider that takes a second; the workers that are started later use it."""
    return start_provider(cli, monkeypatch, "fixed:1000")


ROUTED = """workflow:
  id: {id}
  nodes:
    - id: triage
      type: router
      routes: [refund, other]
      rules: [{{when: 'input.text == "rule"', route: refund}}]
      model: m
      prompt_template: p.j2
      default_route: other
      cache_ttl_s: 600
"""


def test_a_thousand_equal_questions_are_one_call(cli: Cli, provider: dict[str, str]) -> None:
    (cli.folder / "p.j2").write_text("Where to? {{ input.text }}")
    workflow, file = write_workflow(cli.folder, ROUTED)
    cli.worker(file)
    publish(cli, workflow, [{"text": "the same", "n": n} for n in range(1_000)] + [{"text": "rule"}] * 10)
    by = Counter(result["outputs"]["triage"]["by"] for result in results(cli, workflow, 1_010))
    assert by == {"model": 1, "cache": 999, "rule:0": 10}
    with urlopen(f"{provider['admin_url']}/summary") as answer:
        assert json.load(answer)["total"] == 1
    assert_clean(cli, workflow)


STREAMED = """workflow:
  id: {id}
  nodes:
    - {{id: say, type: llm, model: m, prompt_template: p.j2, stream: true}}
"""


def test_a_text_that_is_streamed_is_never_torn(cli: Cli, provider: dict[str, str]) -> None:
    (cli.folder / "p.j2").write_text("Say {{ input.n }}")
    workflow, file = write_workflow(cli.folder, STREAMED)
    worker = cli.worker(file)
    publish(cli, workflow, [{"n": n} for n in range(3)])
    cli("consume", workflow, "--tokens", "--max", "1", "--timeout", "30")
    worker.kill()
    worker.wait()
    cli.worker(file)
    said = {result["run_id"]: result["outputs"]["say"]["text"] for result in results(cli, workflow, 3)}
    heard: dict[tuple[Any, ...], str] = {}
    for delta in cli("consume", workflow, "--tokens", "--timeout", "5", "--json").json:
        of = (delta["run_id"], delta["epoch"], delta["attempt"], delta["launch"])
        heard[of] = heard.get(of, "") + delta["delta"]
    assert all(said[of[0]].startswith(text) for of, text in heard.items())
    assert {of[0] for of, text in heard.items() if text == said[of[0]]} == set(said)
    assert_clean(cli, workflow)
