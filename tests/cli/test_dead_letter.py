"""`penstock dead-letter`: a run that failed in its middle is mended and goes on; nothing that succeeded runs again."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Cli, write_workflow
from tests.kafka_tools import publish, read_all, read_until

pytestmark = pytest.mark.kafka

SIX = """workflow:
  id: {id}
  version: 1.0.0
  input_schema: input.json
  nodes:
    - {{id: one, type: function, handler: six.py}}
    - {{id: two, type: function, handler: six.py, dependencies: [one]}}
    - {{id: three, type: function, handler: six.py, dependencies: [two]}}
    - {{id: four, type: function, handler: "six.py:picky", dependencies: [three], max_retries: 1, backoff_ms: 10}}
    - {{id: five, type: function, handler: six.py, dependencies: [four]}}
    - {{id: six, type: function, handler: six.py, dependencies: [five]}}
"""
FORK = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - {{id: root, type: function, handler: six.py}}
    - {{id: left, type: function, handler: "six.py:branch", dependencies: [root], max_retries: 0}}
    - {{id: right, type: function, handler: "six.py:branch", dependencies: [root], max_retries: 0}}
"""
HANDLERS = """
from pathlib import Path

def handle(inputs, context):
    with Path(__file__).with_suffix(".log").open("a") as log:
        log.write(f"{context.run_id} {context.node}\\n")
    return {"n": inputs["input"]["n"]}

def picky(inputs, context):
    handle(inputs, context)
    if not inputs["input"].get("fixed"):
        raise ValueError("not fixed")
    return {"fixed": inputs["three"]}

def branch(inputs, context):
    handle(inputs, context)
    if not inputs["input"].get("fixed"):
        raise ValueError("not fixed")
    return {}
"""


@pytest.fixture
def six(tmp_path: Path) -> tuple[str, Path]:
    """A chain of six nodes whose fourth fails unless the input is fixed."""
    (tmp_path / "six.py").write_text(HANDLERS)
    return write_workflow(tmp_path, SIX)


def executed(cli: Cli, run_id: str) -> list[str]:
    """Return the nodes of a run in the order in which their handlers were called."""
    lines = (cli.folder / "six.log").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[0] == run_id]


def test_a_failed_run_is_mended_and_goes_on(cli: Cli, six: tuple[str, Path]) -> None:
    workflow, file = six
    cli.worker(file)
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    (failed,) = cli("consume", workflow, "--max", "1", "--timeout", "30", "--json").json
    assert (failed["status"], failed["epoch"]) == ("failed", 0)
    assert executed(cli, "r1") == ["one", "two", "three", "four", "four"]

    (letter,) = cli("dead-letter", "list", workflow, "--json").json
    assert (letter["run_id"], letter["node"], letter["kind"], letter["status"]) == ("r1", "four", "handler", "open")
    (shown,) = cli("dead-letter", "show", workflow, "--run-id", "r1", "--json").json
    assert shown["value"] == {"input": {"n": 1}, "one": {"n": 1}, "two": {"n": 1}, "three": {"n": 1}}
    assert [attempt["attempt"] for attempt in shown["attempts"]] == [1, 2]
    assert "not fixed" in shown["traceback"]

    refused = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--edit", '{"nobody":1}')
    assert refused.code == 2
    assert "'nobody'" in refused.err

    answer = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--edit", '{"input":{"fixed":true}}', "--json")
    assert answer.code == 0, answer.err
    assert (answer.object["status"], answer.object["reopened"]) == ("redriven", ["four", "five", "six"])
    _, result = cli("consume", workflow, "--max", "2", "--timeout", "30", "--json").json
    assert (result["status"], result["epoch"]) == ("success", answer.object["new_epoch"])
    assert [node for node, of in result["nodes"].items() if of["reused"]] == ["one", "two", "three"]
    assert executed(cli, "r1") == ["one", "two", "three", "four", "four", "four", "five", "six"]

    again = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--json")
    assert (again.code, again.object["status"]) == (0, "already redriven")
    cli("publish", workflow, "--input", '{"n":2,"fixed":true}', "--run-id", "r2")
    results = cli("consume", workflow, "--max", "3", "--timeout", "30", "--json").json
    assert [r["run_id"] for r in results].count("r1") == 2
    (shown,) = cli("dead-letter", "show", workflow, "--run-id", "r1", "--json").json
    assert shown["status"] == "redriven"
    assert [(r["epoch"], r["edit"]) for r in shown["redrives"]] == [(result["epoch"], {"input": {"fixed": True}})]
    assert "@" in shown["redrives"][0]["requested_by"]
    assert cli("audit", "run", workflow).code == 0


def test_a_node_that_fails_again_has_a_new_dead_letter(cli: Cli, six: tuple[str, Path]) -> None:
    workflow, file = six
    cli.worker(file)
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    for epochs in (1, 2):
        results = cli("consume", workflow, "--max", str(epochs), "--timeout", "30", "--json").json
        assert [r["status"] for r in results] == ["failed"] * epochs
        answer = cli("dead-letter", "redrive", workflow, "--node", "four", "--kind", "handler", "--json")
        assert answer.code == 0, answer.err
        assert [line["status"] for line in answer.json] == ["already redriven"] * (epochs - 1) + ["redriven"]
    assert len(cli("consume", workflow, "--max", "3", "--timeout", "30", "--json").json) == 3
    listed = cli("dead-letter", "list", workflow, "--json").json
    assert [letter["status"] for letter in listed] == ["redriven", "redriven", "open"]
    assert [letter["epoch"] for letter in listed] == sorted({letter["epoch"] for letter in listed})


def test_two_nodes_of_one_run_are_sent_back_together(cli: Cli) -> None:
    (cli.folder / "six.py").write_text(HANDLERS)
    workflow, file = write_workflow(cli.folder, FORK)
    cli.worker(file)
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    cli("consume", workflow, "--max", "1", "--timeout", "30")
    edit = '{"input":{"fixed":true}}'
    answer = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--edit", edit, "--yes", "--json")
    assert answer.code == 0, (answer.out, answer.err)
    assert {line["node"]: line["status"] for line in answer.json} == {"left": "redriven", "right": "redriven"}
    *_, last = cli("consume", workflow, "--max", "3", "--timeout", "30", "--json").json
    assert last["status"] == "success"
    assert [letter["status"] for letter in cli("dead-letter", "list", workflow, "--json").json] == ["redriven"] * 2
    assert sorted(executed(cli, "r1")) == ["left", "left", "right", "right", "root"]


def test_inputs_that_could_not_be_used_are_published_again(cli: Cli, six: tuple[str, Path]) -> None:
    workflow, file = six
    cli.worker(file)
    for run_id in ("r1", "r2"):
        cli("publish", workflow, "--input", '{"m":1}', "--run-id", run_id)
    cli("publish", workflow, "--input", '{"n":1,"fixed":true}', "--run-id", "r3")
    cli("consume", workflow, "--run-id", "r3", "--timeout", "30")
    cli("publish", workflow, "--input", '{"n":2,"fixed":true}', "--run-id", "r3")
    while len(letters := cli("dead-letter", "list", workflow, "--json").json) < 3:
        pass  # the test's timeout is the limit
    assert [letter["kind"] for letter in letters] == ["input_schema", "input_schema", "run_id_conflict"]
    assert [letter["run_id"] for letter in letters[:2]] == ["r1", "r2"]
    conflict = letters[2]["run_id"]
    assert conflict.startswith("o-")
    (found,) = cli("dead-letter", "list", workflow, "--run-id", "r3", "--json").json
    assert found == letters[2], "it is found under the id it came with, too"

    again = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--json")
    assert (again.code, again.object["status"]) == (0, "published")
    while len(letters := cli("dead-letter", "list", workflow, "--json").json) < 4:
        pass
    assert [letter["status"] for letter in letters] == ["redriven", "open", "open", "open"], "unmended, it stands once"

    send = ("dead-letter", "redrive", workflow, "--kind", "input_schema", "--edit", '{"n":5,"fixed":true}', "--json")
    asked = cli(*send)
    assert (asked.code, asked.out) == (2, "")
    assert "at least 2 node executions: confirm with --yes" in asked.err
    sent = cli(*send, "--yes", "--rate", "50")
    assert sorted(line["status"] for line in sent.json) == ["already redriven", "published", "published"]
    assert cli("dead-letter", "redrive", workflow, "--kind", "run_id_conflict").code == 0
    results = cli("consume", workflow, "--max", "4", "--timeout", "30", "--json").json
    assert {r["run_id"]: r["status"] for r in results} == dict.fromkeys(("r1", "r2", "r3", conflict), "success")
    assert results[-1]["outputs"] is not None
    again = cli("dead-letter", "redrive", workflow, "--yes", "--json")
    assert [line["status"] for line in again.json] == ["already redriven"] * 4
    audit = cli("audit", "run", workflow)
    assert audit.code == 0, audit.out


def test_what_cannot_be_sent_back(cli: Cli, six: tuple[str, Path]) -> None:
    workflow, file = six
    worker = cli.worker(file)
    asyncio.run(publish(cli.bootstrap or "", f"{workflow}.control", [b"no command"], ["r7"]))
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    cli("consume", workflow, "--max", "1", "--timeout", "30")
    (letter,) = cli("dead-letter", "list", workflow, "--run-id", "r7", "--json").json
    assert (letter["run_id"], letter["kind"], letter["status"]) == ("r7", "invalid_json", "open")
    (shown,) = cli("dead-letter", "show", workflow, "--run-id", "r7", "--json").json
    assert shown["value"] == {"note": "not JSON", "base64": "bm8gY29tbWFuZA=="}
    named = cli("dead-letter", "redrive", workflow, "--run-id", "r7", "--json")
    assert (named.code, named.object["status"]) == (1, "not redrivable")
    assert cli("dead-letter", "redrive", workflow, "--kind", "invalid_json").code == 0
    assert "r7" in cli("dead-letter", "list", workflow).out
    for command in ("show", "redrive"):
        nobody = cli("dead-letter", command, workflow, "--run-id", "nobody")
        assert nobody.code == 1
        assert "no such dead letter" in nobody.err

    worker.kill()
    worker.wait()
    unanswered = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--timeout", "1", "--json")
    assert (unanswered.code, unanswered.object["status"]) == (1, "unanswered")
    assert "a worker must be running" in unanswered.err
    sent = cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--no-wait", "--json")
    assert (sent.code, sent.object["status"], sent.object["topic"]) == (0, "sent", f"{workflow}.control")
    cli.worker(file)
    results = cli("consume", workflow, "--max", "2", "--timeout", "40", "--json").json
    assert [result["status"] for result in results] == ["failed", "failed"], "both commands named the same failure"
    gone = cli("dead-letter", "list", f"{workflow}x")
    assert gone.code == 1
    assert f"did you mean '{workflow}'" in gone.err


def test_a_refused_redrive_is_told_with_its_reason(cli: Cli, six: tuple[str, Path]) -> None:
    workflow, file = six
    worker = cli.worker(file)
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    cli("consume", workflow, "--max", "1", "--timeout", "30")
    worker.kill()
    worker.wait()
    assert cli("dead-letter", "redrive", workflow, "--run-id", "r1", "--no-wait").code == 0
    late = cli.start("dead-letter", "redrive", workflow, "--run-id", "r1", "--timeout", "60", "--json")
    # Both commands stand in the topic before anybody reads them, so the second names an epoch that is over.
    asyncio.run(read_until(cli.bootstrap or "", f"{workflow}.control", lambda found: len(found) == 2))
    cli.worker(file)
    out, err = late.communicate(timeout=60)
    outcome = Answer(late.returncode, out, err)
    assert (outcome.code, outcome.object["status"]) == (1, "refused"), err
    assert outcome.object["reason"]
    results = cli("consume", workflow, "--max", "2", "--timeout", "30", "--json").json
    assert [result["run_id"] for result in results] == ["r1", "r1"]


def at_a_terminal(cli: Cli, typed: str, *args: str) -> Answer:
    """Run a command whose stdin is a terminal at which somebody types."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        argv = [sys.executable, "-m", "penstock", *args]
        done = subprocess.run(
            argv, cwd=cli.folder, env=cli.env, stdin=theirs, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        os.close(theirs)
        os.close(ours)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_more_than_one_is_asked_for_at_the_terminal(cli: Cli, six: tuple[str, Path]) -> None:
    workflow, file = six
    cli.worker(file)
    for run_id in ("r1", "r2"):
        cli("publish", workflow, "--input", '{"m":1}', "--run-id", run_id)
    while len(cli("dead-letter", "list", workflow, "--json").json) < 2:
        pass  # the test's timeout is the limit
    every = ("dead-letter", "redrive", workflow, "--edit", '{"n":5,"fixed":true}', "--json")
    unasked = cli(*every)
    assert (unasked.code, unasked.out) == (2, ""), "nobody can be asked"
    declined = at_a_terminal(cli, "n\n", *every)
    assert (declined.code, declined.out) == (1, "")
    assert "2 dead letters go back: at least 2 node executions. Go on?" in declined.err
    assert len(asyncio.run(read_all(cli.bootstrap or "", f"{workflow}.input"))) == 2, "nothing was sent"
    agreed = at_a_terminal(cli, "y\n", *every)
    assert (agreed.code, [line["status"] for line in agreed.json]) == (0, ["published"] * 2), agreed.err
    results = cli("consume", workflow, "--max", "2", "--timeout", "30", "--json").json
    assert {result["run_id"]: result["status"] for result in results} == {"r1": "success", "r2": "success"}


USAGE = {
    "--edit [1]": "a JSON object",
    "--edit {": "--edit: not JSON",
    "--rate 0": "--rate",
}


@pytest.mark.parametrize("options", USAGE)
def test_bad_usage(options: str, offline: Cli) -> None:
    answer = offline("dead-letter", "redrive", "x", *options.split())
    assert answer.code == 2
    assert USAGE[options] in answer.err
    assert answer.out == ""


@pytest.mark.parametrize("command", ["list", "show", "redrive"])
def test_without_a_broker_it_says_how_to_start_one(command: str, offline: Cli) -> None:
    answer = offline("dead-letter", command, "x", "--json")
    assert answer.code == 1
    assert "penstock kafka start" in answer.err
