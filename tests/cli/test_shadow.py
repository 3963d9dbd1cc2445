"""`penstock replay --shadow`: another version beside production, which is left as it was."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.cli.conftest import Cli, assert_clean, start_provider, write_workflow
from tests.cli.test_replay import total

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

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
    return {"receipt": inputs["input"]["n"] * 100, "proof": "p" * 2_000}

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
    store = cli.folder / "claims"
    (cli.folder / "penstock.toml").write_text(f'claim_check_stores = ["file://{store}"]\n')
    check = f'version: 1.0.0\n  claim_check: {{{{store: "file://{store}", above_bytes: 1024}}}}'
    workflow, file = write_workflow(cli.folder, VERSION.replace("{name}", "old").replace("version: 1.0.0", check))
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
    assert all(line["route"] == {"before": ["sort", "pay", "tell"], "after": ["sort", "pay", "tell"]} for line in lines)
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


ASKING = """workflow:
  id: {id}
  nodes:
    - {{id: first, type: llm, model: m, prompt_template: first.j2}}
    - {{id: second, type: llm, model: m, prompt_template: "{second}.j2"}}
    - {{id: each, type: llm, model: m, prompt_template: item.j2, for_each: input.list}}
    - {{id: last, type: function, handler: "last.py:handle", dependencies: [first, second, each]}}
"""
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def asking(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path, dict[str, str]]:
    """Return a workflow with three prompts, its worker at work, and a provider that counts; and a version whose second prompt is new."""
    provider = start_provider(cli, monkeypatch, "fixed:5")
    for name, text in (
        ("first", "first {{ input.n }}"),
        ("second", "second {{ input.n }}"),
        ("anew", "anew {{ input.n }}"),
    ):
        (cli.folder / f"{name}.j2").write_text(text)
    (cli.folder / "item.j2").write_text("item {{ item }}")
    (cli.folder / "last.py").write_text(
        f'def handle(inputs, context):\n    return {{"said": {EVIL!r}, "to": inputs["second"]}}\n'
    )
    workflow, file = write_workflow(cli.folder, ASKING.replace("{second}", "second"))
    (cli.folder / "anew.yaml").write_text(file.read_text().replace("second.j2", "anew.j2"))
    cli.worker(file)
    return workflow, cli.folder / "anew.yaml", provider


def test_a_live_shadow_follows_and_takes_answers_of_production(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow, anew, provider = asking(cli, monkeypatch)
    publish_and_wait(cli, workflow, range(10))
    assert total(provider) == 10 * 4
    shadow = cli.start(
        *("replay", workflow, "--from", "0", "--shadow", anew, "--live", "--reuse-responses"),
        *("--report", "report.html", "--where", "input.n < 100", "--yes", "--json"),
    )
    assert shadow.stdout is not None
    lines = [json.loads(shadow.stdout.readline()) for _ in range(10)]
    assert total(provider) == 10 * 4 + 10, "one prompt of three is new"
    assert cli("publish", workflow, "--input", json.dumps({"n": 100, "list": []}), "--run-id", "not-meant").code == 0
    publish_and_wait(cli, workflow, range(10, 15), results=16)
    lines += [json.loads(shadow.stdout.readline()) for _ in range(5)]
    assert total(provider) == 15 * 4 + 15 + 2, "the one that is not meant asks production's models alone"
    shadow.send_signal(signal.SIGINT)
    rest, said = shadow.communicate(timeout=60)
    assert shadow.returncode == 0, said
    summary = json.loads(rest)["summary"]
    assert (summary["runs"], summary["failed"], summary["reused"]) == (15, 0, 15)
    assert len({line["run_id"] for line in lines}) == 15
    assert all(line["reused"] == ["first"] for line in lines), "items are part of a node that did not come whole"
    assert asyncio.run(state_of(cli.bootstrap or "", workflow))["shadows"] == []
    page = (cli.folder / "report.html").read_text()
    assert EVIL not in page
    assert page.count("<script") == 4
    assert json.loads(page.split('id="data-summary">')[1].split("</script>")[0]) == summary
    assert_clean(cli, workflow)


def test_a_shadow_interrupted_goes_on(cli: Cli) -> None:
    (cli.folder / "old.py").write_text("LIMIT = 20\n" + HANDLERS)
    workflow, file = write_workflow(cli.folder, VERSION.replace("{name}", "old"))
    cli.worker(file)
    publish_and_wait(cli, workflow, range(RUNS))
    command = ("replay", workflow, "--from", "0", "--shadow", file, "--rate", "20", "--with-effects", "--yes", "--json")
    first = cli.start(*command)
    assert first.stdout is not None
    for _ in range(10):
        first.stdout.readline()
    first.kill()
    first.wait()
    dry = cli(*command, "--dry-run").object
    assert 10 <= dry["sent_before"] < RUNS
    assert dry["runs"] + dry["sent_before"] == RUNS
    said = cli(*command, timeout=120)
    assert (said.code, said.json[-1]["summary"]["equal"]) == (0, RUNS), said.err
    paid = (cli.folder / "paid").read_text().split()
    paid_for = {paid.count(run_id) for run_id in set(paid)}
    assert paid_for <= {2, 3}, "once by production, once by the shadow; again, if it was in flight at the kill"


def publish_and_wait(cli: Cli, workflow: str, numbers: range, results: int | None = None) -> None:
    """Publish inputs and wait until the workflow has so many results: as many as the last number says, unless told otherwise."""
    (cli.folder / "in.jsonl").write_text("".join(json.dumps({"n": n, "list": [n, -n]}) + "\n" for n in numbers))
    assert cli("publish", workflow, "--input-file", "in.jsonl").code == 0
    assert cli("consume", workflow, "--max", str(results or numbers.stop), "--timeout", "60", timeout=90).code == 0


def test_bad_usage_says_what_to_do(cli: Cli) -> None:
    (cli.folder / "old.py").write_text("LIMIT = 20\n" + HANDLERS)
    workflow, file = write_workflow(cli.folder, VERSION.replace("{name}", "old"))
    cli.worker(file)
    other, elsewhere = write_workflow(cli.folder, VERSION.replace("{name}", "old"))
    for args, said in (
        (("--shadow", elsewhere), f"is of workflow '{other}', not of '{workflow}'"),
        (("--shadow", file, "--node", "pay"), "not with --node"),
        (("--with-effects",), "belong to --shadow"),
        (("--shadow", file, "--live", "--to", "5"), "--live goes on with new runs"),
        (("--shadow", file, "--report", "no/such/folder.html", "--yes"), "cannot be written"),
    ):
        answer = cli("replay", workflow, "--from", "0", *args)
        assert (answer.code, said in answer.err) == (2, True), answer.err
