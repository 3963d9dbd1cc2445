"""`penstock replay` as people run it: real workers, real HTTP, and kill -9 in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.request import urlopen

import pytest

from tests.cli.conftest import Cli, assert_clean, start_provider, write_workflow

pytestmark = pytest.mark.kafka

RUNS = 200
THREE = """workflow:
  id: {id}
  nodes:
    - {{id: first, type: llm, model: m, prompt_template: first.j2}}
    - {{id: second, type: llm, model: m, prompt_template: second.j2, dependencies: [first]}}
    - {{id: third, type: llm, model: m, prompt_template: third.j2}}
    - {{id: last, type: function, handler: "last.py:handle", dependencies: [second, third]}}
"""


def total(provider: dict[str, str]) -> int:
    with urlopen(f"{provider['admin_url']}/summary") as answer:
        return int(json.load(answer)["total"])


def results(cli: Cli, workflow: str, count: int) -> list[dict[str, Any]]:
    return cli("consume", workflow, "--max", str(count), "--timeout", "90", "--json", timeout=120).json


def started(cli: Cli, inputs: Sequence[Any]) -> tuple[str, subprocess.Popen[str], list[dict[str, Any]]]:
    """Run a workflow of three prompts and a function over `inputs`; return its id, its worker and the results."""
    for node in ("first", "second", "third"):
        (cli.folder / f"{node}.j2").write_text(f"{node}: {{{{ input.n }}}}")
    (cli.folder / "last.py").write_text('def handle(inputs, context):\n    return {"by": "old"}\n')
    workflow, file = write_workflow(cli.folder, THREE)
    worker = cli.worker(file)
    (cli.folder / "in.jsonl").write_text("".join(json.dumps(each) + "\n" for each in inputs))
    assert cli("publish", workflow, "--input-file", "in.jsonl").code == 0
    return workflow, worker, results(cli, workflow, len(inputs))


def replaced(cli: Cli, workflow: str, worker: subprocess.Popen[str]) -> None:
    """Stop a worker and start one that reads the changed files."""
    worker.send_signal(signal.SIGTERM)
    worker.communicate()
    cli.worker(cli.folder / f"{workflow}.yaml")


def test_only_what_changed_is_paid_for_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = start_provider(cli, monkeypatch, "fixed:5")
    workflow, worker, before = started(cli, [{"n": n} for n in range(RUNS)])
    assert total(provider) == 3 * RUNS
    (cli.folder / "last.py").write_text('def handle(inputs, context):\n    return {"by": "new"}\n')
    replaced(cli, workflow, worker)
    again = ("replay", workflow, "--from", "earliest", "--reuse-responses", "--yes", "--json")
    said = cli(*again, timeout=120)
    assert (said.code, Counter(line["status"] for line in said.json)) == (0, {"success": RUNS}), said.err
    assert total(provider) == 3 * RUNS, "no call"
    new = [result for result in results(cli, workflow, 2 * RUNS) if result["epoch"]]
    assert {result["run_id"] for result in new} == {result["run_id"] for result in before}
    assert all(result["outputs"] == {"last": {"by": "new"}} for result in new)
    assert (
        cli("runs", "show", new[0]["run_id"], "--workflow", workflow, "--json").object["nodes"]["first"]["status"]
        == "success"
    )
    assert_clean(cli, workflow)


def test_a_changed_prompt_is_asked_again_and_what_depends_on_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = start_provider(cli, monkeypatch, "fixed:5")
    workflow, worker, _ = started(cli, [{"n": n} for n in range(20)])
    (cli.folder / "second.j2").write_text("second, anew: {{ input.n }}")
    replaced(cli, workflow, worker)
    dry = cli("replay", workflow, "--where", "input.n < 10", "--reuse-responses", "--dry-run", "--json").object
    assert (dry["runs"], dry["calls"], dry["at_most"]) == (10, 30, True)
    assert total(provider) == 60, "a dry run does nothing"
    said = cli("replay", workflow, "--where", "input.n < 10", "--reuse-responses", "--yes", "--json", timeout=120)
    assert (said.code, len(said.json), total(provider)) == (0, 10, 70), said.err


def test_killed_half_way_and_started_again_each_run_is_replayed_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = start_provider(cli, monkeypatch, "fixed:5")
    workflow, _, _ = started(cli, [{"n": n} for n in range(60)])
    again = ("replay", workflow, "--from", "0", "--rate", "20", "--yes", "--json")
    first = cli.start(*again)
    assert first.stdout is not None
    for _ in range(15):
        first.stdout.readline()
    first.kill()
    first.wait()
    said = cli(*again, timeout=120)
    assert (said.code, Counter(line["status"] for line in said.json)) == (0, {"success": 60}), said.err
    assert total(provider) == 2 * 3 * 60, "each run twice, once of it by the replay"
    assert Counter(Counter(result["run_id"] for result in results(cli, workflow, 120)).values()) == {2: 60}
    nothing = cli(*again, timeout=120)
    assert (nothing.code, total(provider)) == (0, 2 * 3 * 60), "it has been done"
    cli(*again, "--again", timeout=120)
    assert total(provider) == 3 * 3 * 60
    assert_clean(cli, workflow)


def test_bad_usage_says_what_to_do(cli: Cli, workflow: tuple[str, Any]) -> None:
    name, file = workflow
    cli.worker(file)
    for args, said in (
        ((), "say which runs"),
        (("--from", "yesterday"), "or an OFFSET"),
        (("--from", "0", "--where", "input.n >"), "--where:"),
        (("--from", "0", "--node", "nope"), "'nope' is no node of"),
    ):
        answer = cli("replay", name, *args)
        assert (answer.code, said in answer.err) == (2, True), answer.err
    assert cli("replay", name, "--run-id", "nobody").code == 1
