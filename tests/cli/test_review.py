"""`penstock review` and `penstock audit verify`: a run waits for a person over the death of its workers, and the trail holds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.codec import decode, encode
from schemas.records import Decided, Record
from tests.cli.conftest import Answer, Cli, write_workflow
from tests.kafka_tools import publish, read_all, read_until

pytestmark = pytest.mark.kafka

GATED = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - {{id: add, type: function, handler: "nodes.py:add"}}
    - {{id: sign, type: review, dependencies: [add], assignees: [ada], form_schema: form.json, timeout_ms: 600000}}
    - {{id: last, type: function, handler: gate.py, dependencies: [sign]}}
"""
HANDLER = 'def handle(inputs, context):\n    return {"n": inputs["sign"]["output"]["n"]}\n'
FORM = '{"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false}'


@pytest.fixture
def gated(tmp_path: Path) -> tuple[str, Path]:
    """A workflow whose second node is a review."""
    (tmp_path / "gate.py").write_text(HANDLER)
    (tmp_path / "form.json").write_text(FORM)
    return write_workflow(tmp_path, GATED)


def until_asked(cli: Cli, workflow: str, runs: int) -> None:
    """Wait until so many reviews wait."""
    while len(cli("review", "list", "--workflow", workflow, "--json").json) < runs:
        pass  # the test's timeout is the limit


def test_reviews_outlive_the_workers(cli: Cli, gated: tuple[str, Path]) -> None:
    workflow, file = gated
    worker = cli.worker(file)
    for run_id in ("r1", "r2", "r3"):
        cli("publish", workflow, "--input", '{"n":1}', "--run-id", run_id)
    until_asked(cli, workflow, 3)
    worker.kill()
    worker.wait()

    shown = cli("review", "show", "r1", "sign", "--workflow", workflow, "--json").object
    assert (shown["assignees"], shown["reason"], shown["epoch"]) == (["ada"], "review", 0)
    assert shown["shown"] == {"input": {"n": 1}, "add": {"n": 2}}
    alone = cli("review", "approve", "r1", "sign", "--workflow", workflow, "--timeout", "1", "--json")
    assert (alone.code, alone.object["status"]) == (1, "unanswered")
    assert "a worker must be running" in alone.err

    cli.worker(file)
    (first,) = cli("consume", workflow, "--run-id", "r1", "--timeout", "40", "--json").json
    assert (first["status"], first["outputs"], list(first["audit"])) == ("success", {"last": {"n": 2}}, ["sign"])
    edited = cli(
        "review",
        "approve",
        "r2",
        "sign",
        "--workflow",
        workflow,
        "--edit",
        '{"n":7}',
        "--comment",
        "seven",
        "--reviewer",
        "bob",
        "--json",
    )
    assert (edited.code, edited.object["status"], edited.object["epoch"]) == (0, "approved", 0), edited.err
    (second,) = cli("consume", workflow, "--run-id", "r2", "--timeout", "40", "--json").json
    assert second["outputs"] == {"last": {"n": 7}}
    plain = {"type": "review", "run_id": "r3", "node": "sign", "decision": "reject", "reviewer": "eve", "comment": "no"}
    asyncio.run(publish(cli.bootstrap or "", f"{workflow}.control", [plain]))
    (third,) = cli("consume", workflow, "--run-id", "r3", "--timeout", "40", "--json").json
    assert (third["status"], third["nodes"]["sign"]["error"]["message"]) == ("failed", "rejected by eve: no")
    assert cli("review", "list", "--workflow", workflow, "--json").json == []

    for args in (("approve",), ("reject", "--epoch", "7"), ("approve", "--hash", "ab")):
        late = cli("review", *args, "r2", "sign", "--workflow", workflow, "--json")
        assert (late.code, late.object["status"]) == (1, "refused")
        assert late.object["reason"]
    assert len(cli("consume", workflow, "--max", "9", "--timeout", "3", "--json").json) == 3, "each once"
    assert cli("audit", "run", workflow).code == 0
    verified = cli("audit", "verify", workflow, "--json")
    assert (verified.code, verified.object["summary"]) == (0, {"chains": 3, "problems": 0, "notes": []})


async def _append(bootstrap: str, topic: str, partition: int, key: bytes, record: Record) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, encode(record), key=key, partition=partition)
    finally:
        await producer.stop()


def test_a_forged_decision_is_found(cli: Cli, gated: tuple[str, Path]) -> None:
    workflow, file = gated
    worker = cli.worker(file)
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    until_asked(cli, workflow, 1)
    assert cli("review", "approve", "r1", "sign", "--workflow", workflow).code == 0
    cli("consume", workflow, "--max", "1", "--timeout", "40")
    assert cli("audit", "verify", workflow).out.splitlines()[-1] == "1 chains, 0 problems"
    worker.kill()
    worker.wait()
    bootstrap, topic = cli.bootstrap or "", f"{workflow}.sign"
    found = asyncio.run(read_all(bootstrap, topic))
    at = next(r for r in found if isinstance(decode(r.value or b""), Decided))
    decided = decode(at.value or b"")
    assert isinstance(decided, Decided)
    forged = Decided(*[getattr(decided, name) if name != "reviewer" else "mallory" for name in Decided.__slots__])
    asyncio.run(_append(bootstrap, topic, at.partition, at.key or b"", forged))
    answer = cli("audit", "verify", workflow, "--json")
    problem, summary = answer.json
    assert (answer.code, summary["summary"]["problems"]) == (1, 1)
    assert (problem["run_id"], problem["node"], problem["what"]) == ("r1", "sign", "altered")
    assert problem["at"] == f"{topic}/{at.partition}/{len(found)}"


def test_a_decision_under_way_when_the_worker_dies(cli: Cli, gated: tuple[str, Path]) -> None:
    """Two people decide while nobody works: the first in the topic counts, the other one hears why not."""
    workflow, file = gated
    worker = cli.worker(file)
    cli("publish", workflow, "--input", '{"n":1}', "--run-id", "r1")
    until_asked(cli, workflow, 1)
    worker.kill()
    worker.wait()
    args = ("r1", "sign", "--workflow", workflow, "--timeout", "60", "--json")
    one = cli.start("review", "approve", *args)
    asyncio.run(read_until(cli.bootstrap or "", f"{workflow}.control", lambda found: len(found) == 1))
    two = cli.start("review", "reject", *args)
    asyncio.run(read_until(cli.bootstrap or "", f"{workflow}.control", lambda found: len(found) == 2))
    cli.worker(file)
    said = [Answer(process.wait(), *process.communicate()) for process in (one, two)]
    assert [(answer.code, answer.object["status"]) for answer in said] == [(0, "approved"), (1, "refused")]
    assert "decided" in json.dumps(said[1].object)


USAGE = {"approve r1 sign --edit [1]": "a JSON object", "reject r1 sign --edit {": "not JSON", "show r1": "NODE"}


@pytest.mark.parametrize("args", USAGE)
def test_bad_usage(args: str, offline: Cli) -> None:
    answer = offline("review", *args.split())
    assert (answer.code, answer.out) == (2, "")
    assert USAGE[args] in answer.err


@pytest.mark.parametrize("args", ["review list", "review show r n", "review approve r n", "audit verify x"])
def test_without_a_broker_it_says_how_to_start_one(args: str, offline: Cli) -> None:
    answer = offline(*args.split())
    assert answer.code == 1
    assert "penstock kafka start" in answer.err
