"""Large values as people run them: on topics that take what Kafka takes by default, with a store that is forbidden, spoilt, mended."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from penstock import devkafka
from schemas.claims import claim_of
from streams.engine.drift import configs
from tests.cli.conftest import Cli, assert_clean, write_workflow
from tests.kafka_tools import read_until
from topology.limits import KAFKA_DEFAULT

pytestmark = pytest.mark.kafka

SIX = """workflow:
  id: {id}
  input_schema: input.json
  claim_check: {{store: "file://STORE", above_bytes: 100000}}
  nodes:
    - {{id: one, type: function, handler: "chain.py:whole"}}
    - {{id: two, type: function, handler: "chain.py:whole", dependencies: [one]}}
    - {{id: three, type: function, handler: "chain.py:whole", dependencies: [two]}}
    - {{id: four, type: function, handler: "chain.py:whole", dependencies: [three]}}
    - {{id: five, type: function, handler: "chain.py:whole", dependencies: [four]}}
    - {{id: six, type: function, handler: "chain.py:size", dependencies: [five]}}
"""
HANDLERS = """
ABOVE = {"two": "one", "three": "two", "four": "three", "five": "four", "six": "five"}

def whole(inputs, context):
    above = inputs[ABOVE.get(context.node, "input")]
    return {"text": above["text"], "by": [*above.get("by", []), context.node]}

def size(inputs, context):
    return {"size": len(inputs["five"]["text"]), "by": inputs["five"]["by"], "input": len(inputs["input"]["text"])}

def label(inputs, context):
    return {"size": len(inputs["big"]["text"])}

def big(inputs, context):
    return {"text": "x" * 200_000}
"""


def prepared(cli: Cli, text: str = SIX, settings: str = "") -> tuple[str, Path]:
    store = cli.folder / "claims"
    (cli.folder / "chain.py").write_text(HANDLERS)
    (cli.folder / "penstock.toml").write_text(f'claim_check_stores = ["file://{store}"]\n{settings}')
    workflow, file = write_workflow(cli.folder, text.replace("STORE", str(store)))
    (cli.folder / "input.json").write_text('{"type": "object", "required": ["text"]}')
    return workflow, file


def published(cli: Cli, workflow: str, value: Any, run_id: str) -> None:
    lines = cli.folder / "inputs.jsonl"
    lines.write_text(json.dumps(value) + "\n")
    done = cli("publish", workflow, "--input-file", lines, "--run-id", run_id)
    assert done.code == 0, done.err


def result_of(cli: Cli, workflow: str, run_id: str, *more: str) -> dict[str, Any]:
    answer = cli("consume", workflow, "--run-id", run_id, "--timeout", "60", "--json", *more, timeout=90)
    assert answer.code == 0, answer.err
    return answer.json[-1]


async def _send(bootstrap: str, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key=headers[0][1], headers=headers[1:])
    finally:
        await producer.stop()


def send_claim(cli: Cli, workflow: str, run_id: str, uri: str, content: bytes) -> None:
    """Publish a claim as any producer may."""
    assert cli.bootstrap is not None
    said = {
        "uri": uri,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": "application/json",
    }
    value = json.dumps({"$claim": said}, indent=1).encode()
    headers = [("key", run_id.encode()), ("penstock.claim", b"1")]
    asyncio.run(_send(cli.bootstrap, f"{workflow}.input", value, headers))


async def limits_of_topics(cli: Cli, workflow: str) -> dict[str, int]:
    """Return what the workflow's topics take a record, changelogs too: no record is larger, the broker sees to it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cli.bootstrap)
    await admin.start()
    try:
        found = await configs(admin, [name for name in await admin.list_topics() if workflow in name])
    finally:
        await admin.close()
    return {name: int(settings["max.message.bytes"]) for name, settings in found.items()}


def test_twenty_megabytes_through_six_nodes_and_hardly_any_in_kafka(cli: Cli, broker: devkafka.Broker) -> None:
    workflow, file = prepared(cli)
    cli.worker(file)
    text = "0123456789" * 2_000_000
    published(cli, workflow, {"text": text}, "r1")
    result = result_of(cli, workflow, "r1")
    assert (result["status"], result["outputs"]["six"]) == (
        "success",
        {"size": 20_000_000, "by": ["one", "two", "three", "four", "five"], "input": 20_000_000},
    )
    shown = cli("runs", "show", "r1", "--workflow", workflow, "--json").object["nodes"]["five"]["output"]
    assert set(shown["$claim"]) == {"uri", "size", "sha256", "media_type"}
    whole = cli("runs", "show", "r1", "--workflow", workflow, "--json", "--resolve").object["nodes"]["five"]["output"]
    assert whole["text"] == text
    published(cli, workflow, {"text": text}, "r1")  # the same input is the same run
    assert cli("dead-letter", "list", workflow, "--json").json == []
    assert_clean(cli, workflow)
    limits = asyncio.run(limits_of_topics(cli, workflow))
    assert (len(limits) > 15, max(limits.values())) == (True, KAFKA_DEFAULT), limits
    assert sum(file.stat().st_size for file in broker.data.glob(f"*{workflow}*/*.log")) < 1_000_000


def test_a_changed_byte_is_found_and_a_redrive_after_the_repair_works(cli: Cli) -> None:
    workflow, file = prepared(cli)
    store = cli.folder / "claims"
    store.mkdir()
    content = json.dumps({"text": "y" * 150_000}).encode()
    (store / "doc").write_bytes(content[:-3] + b"Z" + content[-2:])
    cli.worker(file)
    send_claim(cli, workflow, "bad", f"file://{store}/doc", content)
    result = result_of(cli, workflow, "bad")
    assert (result["status"], result["nodes"]["one"]["error"]["kind"], result["nodes"]["one"]["attempts"]) == (
        "failed",
        "claim_altered",
        1,
    )
    (store / "doc").write_bytes(content)
    redriven = cli("dead-letter", "redrive", workflow, "--run-id", "bad", "--yes", "--json")
    assert redriven.code == 0, redriven.err
    found = cli("consume", workflow, "--run-id", "bad", "--max", "2", "--timeout", "60", "--json").json[-1]
    assert (found["status"], found["outputs"]["six"]["size"]) == ("success", 150_000)
    (store / "doc2").write_bytes(b'{"no": 1}')
    send_claim(cli, workflow, "schema", f"file://{store}/doc2", b'{"no": 1}')
    assert result_of(cli, workflow, "schema")["nodes"]["one"]["error"]["kind"] == "input_schema"
    send_claim(cli, workflow, "outside", "file:///etc/hostname", b"{}")
    send_claim(cli, workflow, "climbs", f"file://{store}/../chain.py", b"{}")
    while len(letters := cli("dead-letter", "list", workflow, "--kind", "claim_refused", "--json").json) < 2:
        pass  # the test's timeout is the limit
    assert {letter["run_id"] for letter in letters} == {"outside", "climbs"}
    assert_clean(cli, workflow)


def test_a_store_outside_the_allow_list_is_refused_at_start(offline: Cli) -> None:
    _, file = prepared(offline)
    (offline.folder / "penstock.toml").write_text('claim_check_stores = ["file:///elsewhere"]\n')
    answer = offline("run", file, "--input", '{"text": "x"}', "--bootstrap", "127.0.0.1:1")
    assert (answer.code, "claim_check_stores has file:///elsewhere" in answer.err) == (2, True), answer.err
    (offline.folder / "penstock.toml").write_text('claim_check_stores = ["http://elsewhere"]\n')
    answer = offline("run", file, "--input", '{"text": "x"}', "--bootstrap", "127.0.0.1:1")
    assert (answer.code, "neither file:///FOLDER" in answer.err) == (2, True), answer.err


DECIDES = """workflow:
  id: {id}
  input_schema: input.json
  claim_check: {{store: "file://STORE", above_bytes: 100000}}
  nodes:
    - {{id: big, type: function, handler: "chain.py:big"}}
    - {{id: label, type: function, handler: "chain.py:label", dependencies: [big]}}
    - {{id: by_label, type: function, handler: "chain.py:big", dependencies: [label], when: label.size > 5}}
    - {{id: by_big, type: function, handler: "chain.py:big", dependencies: [big], when: "size(big.text) > 5"}}
    - {{id: gate, type: review, dependencies: [big], timeout_ms: 600000}}
    - {{id: after, type: function, handler: "chain.py:reviewed", dependencies: [gate]}}
    - {{id: each, type: function, handler: "chain.py:item", for_each: input.list}}
    - {{id: asked, type: external, timeout_ms: 600000}}
    - {{id: both, type: function, handler: "chain.py:both", dependencies: [each, asked]}}
"""


MORE_HANDLERS = """
def reviewed(inputs, context):
    return {"size": len(inputs["gate"]["output"]["text"])}

def item(inputs, context):
    return {"text": inputs["item"] * 60_000}

def both(inputs, context):
    return {"each": [one["text"][-1] + str(len(one["text"])) for one in inputs["each"]["items"]], "asked": len(inputs["asked"]["text"])}
"""


def send_answer(cli: Cli, workflow: str, run_id: str, content: bytes) -> None:
    """Answer an external node as any program may: with a claim, since the broker would not take the answer itself."""
    (cli.folder / "claims").mkdir(exist_ok=True)  # else the worker makes it with the first output it stores
    (cli.folder / "claims" / "answer").write_bytes(content)
    claim = claim_of(f"file://{cli.folder}/claims/answer", len(content), hashlib.sha256(content).hexdigest())
    said = {"type": "result", "run_id": run_id, "node": "asked", "epoch": 0, "attempt": 1, "output": claim}
    headers = [("key", run_id.encode()), ("penstock.claim", b"1")]
    asyncio.run(read_until(str(cli.bootstrap), f"{workflow}.asked.requests", lambda found: len(found) == 1))
    asyncio.run(_send(str(cli.bootstrap), f"{workflow}.control", json.dumps(said).encode(), headers))


def test_expressions_do_not_read_a_store_and_reviews_items_and_apps_hand_it_on(cli: Cli) -> None:
    workflow, file = prepared(cli, DECIDES, "")
    with (cli.folder / "chain.py").open("a") as handlers:
        handlers.write(MORE_HANDLERS)
    cli.worker(file)
    published(cli, workflow, {"text": "small", "list": ["a", "b", "c"]}, "r1")
    send_answer(cli, workflow, "r1", json.dumps({"text": "z" * 2_000_000}).encode())
    while not cli("review", "list", "--workflow", workflow, "--json").json:
        pass  # the test's timeout is the limit
    cli("review", "approve", "r1", "gate", "--workflow", workflow)
    result = result_of(cli, workflow, "r1", "--resolve")
    nodes = result["nodes"]
    assert {name: node["status"] for name, node in nodes.items()} == {
        "big": "success",
        "label": "success",
        "by_label": "success",
        "by_big": "failed",
        "gate": "success",
        "after": "success",
        "each": "success",
        "asked": "success",
        "both": "success",
    }
    assert nodes["by_big"]["error"]["kind"] == "expression"
    assert "is in the claim store" in nodes["by_big"]["error"]["message"]
    assert result["outputs"]["by_label"] == {"text": "x" * 200_000}
    assert result["outputs"]["after"] == {"size": 200_000}
    assert result["outputs"]["both"] == {"each": ["a60000", "b60000", "c60000"], "asked": 2_000_000}
    shown, whole = (
        cli("runs", "show", "r1", "--workflow", workflow, "--json", *more).object["nodes"]["each"]["output"]["items"]
        for more in ((), ("--resolve",))
    )
    assert ([set(item) for item in shown], [item["text"] for item in whole]) == (
        [{"$claim"}] * 3,
        [letter * 60_000 for letter in "abc"],
    )
    assert_clean(cli, workflow)


@pytest.mark.usefixtures("leaves_no_topics")
def test_encrypted_objects(cli: Cli) -> None:
    from tests.cli.test_encryption import write_keys

    workflow, file = prepared(cli)
    write_keys(cli, "k1", "k1")
    cli.worker(file)
    published(cli, workflow, {"text": "CANARY" * 50_000}, "r1")
    published(cli, workflow, {"text": "CANARY" * 50_000}, "r1")
    assert result_of(cli, workflow, "r1")["outputs"]["six"]["size"] == 300_000
    objects = list((cli.folder / "claims").iterdir())
    assert len(objects) >= 6
    assert not any(b"CANARY" in file.read_bytes() for file in objects)
    assert cli("dead-letter", "list", workflow, "--json").json == []
