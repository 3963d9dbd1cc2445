"""Topics in a registry's format move to another partition count: bytes stay, and everybody reads on."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_encryption import write_keys
from tests.registry.conftest import PREFIX, PlainConsumer, RegistryCli

pytestmark = pytest.mark.kafka


def ended(cli: RegistryCli, name: str, worker: subprocess.Popen[str]) -> None:
    """End a worker once it has read all there is: a workflow is moved when it is drained. (`run` ends at the result.)"""
    cli.assert_clean(name)
    worker.terminate()
    worker.communicate(timeout=60)


def test_results_in_avro_stay_avro(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    name, file = workflow
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 1.0.0\n  output_format: avro"))
    worker = cli.worker(file)
    assert cli("publish", name, "--input", '{"n": 1}').code == 0
    assert cli("consume", name, "--max", "1", "--timeout", "40").code == 0
    ended(cli, name, worker)
    before = {topic: sorted(cli.values(f"{PREFIX}{name}.{topic}")) for topic in ("input", "run", "add", "output")}
    moved = cli("repartition", file, "--partitions", "6", "--yes", "--json")
    assert moved.code == 0, moved.err
    assert {topic: sorted(cli.values(f"{PREFIX}{name}.{topic}")) for topic in before} == before
    second = cli("run", file, "--input", '{"n": 2}', "--json")
    assert second.code == 0, second.err
    plain = PlainConsumer(cli.registry)
    results = [plain.decode(value) for value in cli.values(f"{PREFIX}{name}.output")]
    assert sorted(result["outputs"]["twice_it"] for result in results) == ['{"n":4}', '{"n":6}']


HANDLERS = """
def add(inputs, context):
    if inputs["input"].get("bad"):
        raise ValueError("bad CANARY")
    return {"text": inputs["input"]["text"] + "!"}

def double(inputs, context):
    return {"text": inputs["add"]["text"] * 2, "n": len(inputs["input"]["text"])}
"""
TEXT = "CANARY" * 10_000


@pytest.mark.usefixtures("leaves_no_topics")
def test_what_is_encrypted_and_claimed_is_read_after_a_move(cli: RegistryCli, workflow: tuple[str, Path]) -> None:
    name, file = workflow
    store = f"file://{cli.folder}/claims"
    (cli.folder / "penstock.toml").write_text(f'claim_check_stores = ["{store}"]\n')
    write_keys(cli, "k1", "k1", require=True)
    (cli.folder / "nodes.py").write_text(HANDLERS)
    (cli.folder / "input.json").write_text('{"type": "object", "required": ["text"]}')
    check = f'{{store: "{store}", above_bytes: 50000}}'
    file.write_text(
        file.read_text().replace("version: 1.0.0", f"version: 1.0.0\n  output_format: avro\n  claim_check: {check}")
    )
    inputs = cli.folder / "inputs.jsonl"
    inputs.write_text(json.dumps({"text": TEXT}) + "\n" + json.dumps({"text": TEXT, "bad": True}) + "\n")
    worker = cli.worker(file)
    assert cli("publish", name, "--input-file", inputs).code == 0
    first = cli("consume", name, "--max", "2", "--timeout", "40", "--json").json
    ids = {result["status"]: result["run_id"] for result in first}
    good, bad = ids["success"], ids["failed"]
    ended(cli, name, worker)

    moved = cli("repartition", file, "--partitions", "3", "--yes", "--json")
    assert moved.code == 0, moved.err
    for topic in ("input", "run", "add", "output", "dead-letter"):
        values = cli.values(f"{PREFIX}{name}.{topic}")
        assert values, topic
        assert not [value for value in values if value[:1] != b"\xfe" or b"CANARY" in value], topic
    found = cli("consume", name, "--run-id", good, "--timeout", "20", "--resolve", "--json").object
    assert found["outputs"] == {"twice_it": {"text": f"{TEXT}!" * 2, "n": len(TEXT)}}
    shown = cli("runs", "show", good, "--workflow", name, "--resolve", "--json").object["nodes"]
    assert shown["add"]["output"] == {"text": f"{TEXT}!"}

    cli.worker(file)
    edit = json.dumps({"input": {"bad": None}})
    redriven = cli("dead-letter", "redrive", name, "--run-id", bad, "--edit", edit, "--yes", "--json")
    assert redriven.code == 0, redriven.err
    again = cli("consume", name, "--run-id", bad, "--max", "2", "--timeout", "40", "--resolve", "--json").json[-1]
    assert (again["status"], again["outputs"]["twice_it"]["n"]) == ("success", len(TEXT))
    cli.assert_clean(name)
