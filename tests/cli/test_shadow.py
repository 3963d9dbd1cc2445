"""`penstock replay --shadow`: another version beside production, which is left as it was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.cli.conftest import Cli, assert_clean, write_workflow

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

RUNS = 40
VERSION = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - {{id: sort, type: function, handler: "{name}.py:sort"}}
    - {{id: pay, type: function, handler: "{name}.py:pay", dependencies: [sort], idempotency_key: "pay-${{input.n}}"}}
    - {{id: tell, type: function, handler: "{name}.py:tell", dependencies: [sort, pay]}}
"""
HANDLERS = """
import pathlib

def sort(inputs, context):
    return {"big": inputs["input"]["n"] > LIMIT}

def pay(inputs, context):
    with (pathlib.Path(__file__).parent / "paid").open("a") as log:
        log.write(context.run_id + "\\n")
    return {"receipt": inputs["input"]["n"] * 100}

def tell(inputs, context):
    return {"big": inputs["sort"]["big"], "receipt": inputs["pay"].get("receipt")}
"""


async def state_of(bootstrap: str, workflow: str) -> dict[str, Any]:
    """Return production's end offsets and its group's committed ones."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await admin.start()
    await reader.start()
    try:
        described = await admin.describe_topics()
        places = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            if topic["topic"].startswith((f"{workflow}.", f"penstock.{workflow}-"))
            for partition in topic["partitions"]
        ]
        committed = await admin.list_consumer_group_offsets(f"penstock.{workflow}")
        shadows = [topic["topic"] for topic in described if "shadow-" in topic["topic"]]
        return {"ends": await reader.end_offsets(places), "committed": committed, "shadows": shadows}
    finally:
        await reader.stop()
        await admin.close()


def test_a_shadow_tells_what_differs_and_leaves_production_as_it_was(cli: Cli) -> None:
    assert cli.bootstrap is not None
    (cli.folder / "old.py").write_text("LIMIT = 20\n" + HANDLERS)
    (cli.folder / "new.py").write_text("LIMIT = 10\n" + HANDLERS)
    workflow, file = write_workflow(cli.folder, VERSION.replace("{name}", "old"))
    changed = cli.folder / "changed.yaml"
    changed.write_text(file.read_text().replace("old.py", "new.py"))
    cli.worker(file)
    (cli.folder / "in.jsonl").write_text("".join(json.dumps({"n": n}) + "\n" for n in range(RUNS)))
    cli("publish", workflow, "--input-file", "in.jsonl")
    found = cli("consume", workflow, "--max", str(RUNS), "--timeout", "60", "--json", timeout=90).json
    before = {result["run_id"]: result for result in found}
    assert_clean(cli, workflow)
    paid = (cli.folder / "paid").read_text()
    standing = asyncio.run(state_of(cli.bootstrap, workflow))

    said = cli("replay", workflow, "--from", "0", "--shadow", changed, "--yes", "--json", timeout=120)
    assert said.code == 0, said.err
    *lines, last = said.json
    expected = {run_id: result["outputs"]["tell"]["receipt"] // 100 for run_id, result in before.items()}
    assert {line["run_id"]: line["changed"] for line in lines} == {r: 10 < n <= 20 for r, n in expected.items()}
    for line in lines:
        n = expected[line["run_id"]]
        assert line["outputs"]["before"] == before[line["run_id"]]["outputs"]
        assert line["outputs"]["after"]["tell"] == {"big": n > 10, "receipt": n * 100}, "what was paid is known"
        if line["changed"]:
            assert line["diff"] == [{"path": "$.outputs.tell.big", "before": False, "after": True}]
    summary = last["summary"]
    assert (summary["runs"], summary["changed"], summary["equal"], summary["failed"]) == (RUNS, 10, RUNS - 10, 0)
    assert (cli.folder / "paid").read_text() == paid, "effects do not happen"
    assert asyncio.run(state_of(cli.bootstrap, workflow)) == standing
    assert standing["shadows"] == []


def test_bad_usage_says_what_to_do(cli: Cli) -> None:
    (cli.folder / "old.py").write_text("LIMIT = 20\n" + HANDLERS)
    workflow, file = write_workflow(cli.folder, VERSION.replace("{name}", "old"))
    cli.worker(file)
    other, elsewhere = write_workflow(cli.folder, VERSION.replace("{name}", "old"))
    for args, said in (
        (("--shadow", elsewhere), f"is of workflow '{other}', not of '{workflow}'"),
        (("--shadow", file, "--node", "pay"), "not with --node"),
        (("--with-effects",), "belongs to --shadow"),
    ):
        answer = cli("replay", workflow, "--from", "0", *args)
        assert (answer.code, said in answer.err) == (2, True), answer.err
