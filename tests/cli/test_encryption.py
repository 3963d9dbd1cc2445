"""Encryption as people run it: nothing of what was said lies in Kafka's files, and whoever has the keys reads all of it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from penstock import devkafka
from tests.cli.conftest import Cli, assert_clean, start_provider, write_workflow
from tests.console.conftest import TOKEN, Console

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("leaves_no_topics")]

WORKFLOW = """workflow:
  id: {id}
  input_schema: input.json
  nodes:
    - id: ask
      type: llm
      model: m
      prompt_template: prompt.j2
      output_schema: said.json
      stream: true
    - {{id: check, type: function, handler: "sealed.py:check", dependencies: [ask], max_retries: 0}}
    - {{id: sign, type: review, dependencies: [check], timeout_ms: 600000}}
    - {{id: pay, type: function, handler: "sealed.py:pay", dependencies: [sign], idempotency_key: "${{check.ref}}"}}
"""
HANDLERS = """
def check(inputs, context):
    if not inputs["input"].get("fixed"):
        raise ValueError("cannot use " + inputs["input"]["text"] + " CANARY-ERROR")
    return {"ref": "CANARY-REF-" + context.run_id, "said": inputs["ask"]["said"], "fixed": inputs["input"]["fixed"]}

def pay(inputs, context):
    assert context.idempotency_key == inputs["check"]["ref"]
    return {"paid": "CANARY-OUTPUT", **inputs["check"]}
"""


def write_keys(cli: Cli, current: str, *names: str, require: bool = False) -> None:
    lines = [f'[encryption]\ncurrent = "{current}"\nrequire = {str(require).lower()}\n']
    for name in names:
        file = cli.folder / f"{name}.key"
        if not file.exists():
            file.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
        lines.append(f'[encryption.keys.{name}]\nfile = "{name}.key"\n')
    plain = (cli.folder / "penstock.toml").read_text().partition("[encryption]")[0]
    (cli.folder / "penstock.toml").write_text(plain + "".join(lines))


def found_in(folder: Path, *texts: str) -> list[str]:
    """Return which texts are in which files, each read once; indexes hold offsets and times alone, and 20 MB of nothing a partition."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix not in (".index", ".timeindex"):
            held = file.read_bytes()
            found += [f"{text} in {file}" for text in texts if text.encode() in held]
    return found


def until_asked(cli: Cli, workflow: str, count: int) -> None:
    while len(cli("review", "list", "--workflow", workflow, "--json").json) < count:
        pass  # the test's timeout is the limit


def redrive(cli: Cli, workflow: str, run_id: str) -> None:
    edit = json.dumps({"input": {"fixed": "CANARY-EDIT"}})
    done = cli("dead-letter", "redrive", workflow, "--run-id", run_id, "--edit", edit, "--yes", "--json")
    assert done.code == 0, done.err


def approve(cli: Cli, workflow: str, run_id: str) -> None:
    said = ("--comment", "CANARY-COMMENT", "--reviewer", "ada", "--json")
    done = cli("review", "approve", run_id, "sign", "--workflow", workflow, *said)
    assert done.code == 0, done.err


@pytest.fixture
def sealed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    start_provider(cli, monkeypatch, "fixed:5")
    write_keys(cli, "k1", "k1")
    (cli.folder / "sealed.py").write_text(HANDLERS)
    workflow, file = write_workflow(cli.folder, WORKFLOW)
    (cli.folder / "input.json").write_text('{"type": "object"}')
    (cli.folder / "prompt.j2").write_text("CANARY-PROMPT of {{ input.text }}")
    said = {"type": "string", "enum": ["CANARY-RESPONSE"]}
    schema = {"type": "object", "properties": {"said": said}, "required": ["said"], "additionalProperties": False}
    (cli.folder / "said.json").write_text(json.dumps(schema))
    return workflow, file


def test_nothing_of_it_is_in_kafka_and_all_of_it_is_read(
    cli: Cli, sealed: tuple[str, Path], broker: devkafka.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, file = sealed
    worker, text = cli.worker(file), f"CANARY-{uuid4().hex}"
    for run_id in ("r1", "r2"):
        cli("publish", workflow, "--input", json.dumps({"text": text}), "--run-id", f"{run_id}-{text[-6:]}")
    r1, r2 = f"r1-{text[-6:]}", f"r2-{text[-6:]}"
    assert len(cli("consume", workflow, "--max", "2", "--timeout", "40", "--json").json) == 2
    letters = cli("dead-letter", "list", workflow, "--json").json
    assert all(f"cannot use {text} CANARY-ERROR" in letter["message"] for letter in letters)
    for run_id in (r1, r2):
        redrive(cli, workflow, run_id)
    until_asked(cli, workflow, 2)
    approve(cli, workflow, r1)
    expected = {
        "pay": {"paid": "CANARY-OUTPUT", "ref": f"CANARY-REF-{r1}", "said": "CANARY-RESPONSE", "fixed": "CANARY-EDIT"}
    }
    (result,) = (r for r in cli("consume", workflow, "--max", "3", "--json", "--timeout", "40").json if r["epoch"])
    assert (result["status"], result["outputs"]) == ("success", expected)

    monkeypatch.setenv("PENSTOCK_CONSOLE_TOKEN", TOKEN)
    console = Console.start(cli)
    shown = console.get(f"/v1/runs/{r1}")
    assert "CANARY-OUTPUT" in json.dumps(shown)
    assert "CANARY-EDIT" in json.dumps(console.get("/v1/runs", q="CANARY-EDIT") and shown)
    console.end()

    # Rotation: a run that waits goes on under the new key, what was written under the old one is read.
    worker.terminate()
    said = worker.communicate()[1]
    write_keys(cli, "k2", "k1", "k2")
    cli.worker(file)
    approve(cli, workflow, r2)
    outputs = {
        r["run_id"]: r["outputs"]
        for r in cli("consume", workflow, "--max", "4", "--json", "--timeout", "40").json
        if r["epoch"]
    }
    assert outputs[r1] == expected
    assert outputs[r2]["pay"]["ref"] == f"CANARY-REF-{r2}"
    assert cli("runs", "show", r1, "--json").object["nodes"]["pay"]["output"] == expected["pay"]
    assert cli("audit", "verify", workflow).code == 0
    assert_clean(cli, workflow)

    assert found_in(broker.data, r1), "the search finds what is not encrypted"
    canaries = (
        text,
        "CANARY-ERROR",
        "CANARY-PROMPT",
        "CANARY-REF",
        "CANARY-EDIT",
        "CANARY-COMMENT",
        "CANARY-OUTPUT",
        "CANARY-RESPONSE",
    )
    assert found_in(broker.data, *canaries) == []
    assert found_in(cli.folder / "home", *canaries) == []
    assert [canary for canary in canaries if canary in said] == []


def test_without_its_key_everything_stops_and_says_so(cli: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    (cli.folder / "penstock.toml").write_text("")
    write_keys(cli, "k1", "k1")
    worker = cli.worker(file)
    cli("publish", workflow_id, "--input", '{"n": 1}', "--run-id", "r1")
    assert cli("consume", workflow_id, "--max", "1", "--timeout", "30", "--json").object["outputs"] == {
        "twice_it": {"n": 4}
    }
    worker.terminate()
    worker.wait()

    (cli.folder / "penstock.toml").write_text("")
    for command in (
        ("consume", workflow_id, "--timeout", "9"),
        ("runs", "show", "r1", "--workflow", workflow_id),
    ):
        answer = cli(*command)
        assert (answer.code, "'k1'" in answer.err, "encryption.keys.k1" in answer.err) == (1, True, True), answer.err
    answer = cli("runs", "list")  # of all workflows: the others are listed
    assert (answer.code, f"workflow {workflow_id!r} is left out" in answer.err) == (0, True), answer.err
    stopped = cli("worker", file)
    assert stopped.code == 1
    assert "'k1'" in stopped.err
    write_keys(cli, "k2", "k2")
    stopped = cli("worker", file)
    assert (stopped.code, "add encryption.keys.k1" in stopped.err) == (1, True), stopped.err
    (cli.folder / "k1.key").write_bytes(base64.b64encode(os.urandom(32)))
    write_keys(cli, "k1", "k1")
    stopped = cli("worker", file)
    assert (stopped.code, "correct encryption.keys.k1" in stopped.err) == (1, True), stopped.err


def test_bad_settings_are_named(offline: Cli, workflow: tuple[str, Path]) -> None:
    def said(text: str) -> str:
        (offline.folder / "penstock.toml").write_text(text)
        answer = offline("worker", workflow[1], "--bootstrap", "127.0.0.1:1")
        assert answer.code == 2, answer.err
        return answer.err

    assert "encryption.keys.k1.file" in said('[encryption]\ncurrent = "k1"\n[encryption.keys.k1]\nfile = "no.key"\n')
    (offline.folder / "short.key").write_text("c2hvcnQ=")
    short = said('[encryption]\ncurrent = "k1"\n[encryption.keys.k1]\nfile = "short.key"\n')
    assert "encryption.keys.k1: not 32 bytes in base64" in short
    assert "c2hvcnQ" not in short
    assert "keys has none of that name" in said('[encryption]\ncurrent = "k2"\n[encryption.keys.k1]\nfile = "k"\n')
    assert "give either file or command" in said("[encryption.keys.k1]\n")
    assert "ended with 1" in said('[encryption.keys.k1]\ncommand = "false"\n')
    key = base64.b64encode(os.urandom(32)).decode()
    (offline.folder / "penstock.toml").write_text(f'[encryption]\ncurrent = "k"\nkeys.k.command = "echo {key}"\n')
    assert "no Kafka broker" in offline("worker", workflow[1], "--bootstrap", "127.0.0.1:1").err


def test_plain_records_of_others_are_taken_or_refused(cli: Cli, workflow: tuple[str, Path]) -> None:
    import asyncio

    from tests.kafka_tools import publish

    assert cli.bootstrap is not None
    workflow_id, file = workflow
    (cli.folder / "penstock.toml").write_text("")
    write_keys(cli, "k1", "k1")
    worker = cli.worker(file)
    asyncio.run(publish(cli.bootstrap, f"{workflow_id}.input", [{"n": 1}], ["open"]))
    assert cli("consume", workflow_id, "--max", "1", "--timeout", "30", "--json").object["status"] == "success"
    worker.terminate()
    worker.wait()
    write_keys(cli, "k1", "k1", require=True)
    cli.worker(file)
    asyncio.run(publish(cli.bootstrap, f"{workflow_id}.input", [{"n": 1}], ["refused"]))
    cli("publish", workflow_id, "--input", '{"n": 1}', "--run-id", "ours")
    found = cli("consume", workflow_id, "--run-id", "ours", "--max", "1", "--timeout", "30", "--json").json
    assert [r["status"] for r in found] == ["success"]
    while not (letters := cli("dead-letter", "list", workflow_id, "--json").json):
        pass  # the test's timeout is the limit
    assert [letter["kind"] for letter in letters] == ["not_encrypted"]


APP = """
import faust, os
from penstock import encryption, settings
from streams.claims.claims import Claims
from streams.interop.faust import external_node

known = settings.load()
keyring = encryption.keyring_of(known)
claims = Claims(known.claim_check_stores, keyring)
app = faust.App("{id}-app", broker="kafka://" + os.environ["PENSTOCK_BOOTSTRAP"], topic_disable_leader=True,
                topic_allow_declare=False, store="memory://")

@external_node(app, workflow="{id}", node="score", keyring=keyring)
async def score(inputs, request):
    return await claims.put(claims.stores[0], {{"score": len((await claims.whole(inputs))["input"]["text"])}})

app.main()
"""
EXTERNAL = """workflow:
  id: {id}
  nodes:
    - {{id: score, type: external, timeout_ms: 60000}}
"""


def test_a_faust_app_with_the_key_answers_an_external_node_with_a_claim(cli: Cli) -> None:
    (cli.folder / "penstock.toml").write_text(f'claim_check_stores = ["file://{cli.folder}/claims"]\n')
    write_keys(cli, "k1", "k1", require=True)
    workflow, file = write_workflow(cli.folder, EXTERNAL)
    (cli.folder / "app.py").write_text(APP.format(id=workflow))
    cli.worker(file)
    cli("publish", workflow, "--input", '{"text": "abc"}', "--run-id", "r1")
    env = {**cli.env, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (cli.folder / "app.log").open("w") as log:
        command = [sys.executable, "app.py", "worker", "--without-web", "-l", "error"]
        cli.started.append(subprocess.Popen(command, cwd=cli.folder, env=env, stdout=log, stderr=log, text=True))
    result = cli("consume", workflow, "--run-id", "r1", "--timeout", "60", "--json", timeout=90).object
    assert list(result["outputs"]["score"]) == ["$claim"], (cli.folder / "app.log").read_text()[-3_000:]
    whole = cli("consume", workflow, "--run-id", "r1", "--timeout", "60", "--json", "--resolve").object
    assert whole["outputs"] == {"score": {"score": 3}}
