"""Two teams on one cluster: every command of the one keeps to the names under its prefix."""

import asyncio
import json
import urllib.request
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.cli.conftest import Cli, write_workflow
from tests.kafka_tools import until_no_lag

pytestmark = pytest.mark.kafka


async def _on_broker(bootstrap: str, workflow: str) -> tuple[list[str], list[str]]:
    """Return the topics and groups that are of a workflow, by their names."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics, groups = await admin.list_topics(), await admin.list_consumer_groups()
        return sorted(t for t in topics if workflow in t), sorted(g for g, *_ in groups if workflow in g)
    finally:
        await admin.close()


def test_every_command_keeps_to_its_prefix(cli: Cli, tmp_path: Path) -> None:
    assert cli.bootstrap is not None
    prefix = f"team-{uuid4().hex[:6]}."
    (tmp_path / "penstock.toml").write_text(f'topic_prefix = "{prefix}"\n')
    workflow, file = write_workflow(tmp_path)
    described = cli("describe", file, "--json").object
    names = [topic["name"] for topic in described["topics"]] + [table["changelog"] for table in described["tables"]]
    assert all(name.startswith(prefix) for name in names)
    assert f"group {prefix}penstock.{workflow}" in cli("describe", file).out

    cli.worker(file)
    topics, groups = asyncio.run(_on_broker(cli.bootstrap, workflow))
    assert (topics, groups) == (sorted(names), [f"{prefix}penstock.{workflow}"])

    published = cli("publish", workflow, "--input-file", "-", "--json", stdin='{"n": 1}\n{"n": -3}\n').json
    assert {one["topic"] for one in published} == {f"{prefix}{workflow}.input"}
    results = cli("consume", workflow, "--max", "2", "--timeout", "30", "--json").json
    assert sorted(result["status"] for result in results) == ["failed", "success"]
    good, bad = (one["run_id"] for one in published)
    assert cli("runs", "show", good, "--json").object["status"] == "success"
    assert len(cli("runs", "list", "--workflow", workflow, "--json").json) == 2
    assert cli("runs", "fork", good, "--from", "twice_it", "--json").code == 0
    (letter,) = cli("dead-letter", "list", workflow, "--json").json
    assert letter["run_id"] == bad
    edit = ("--edit", '{"add": {"n": 5}}')
    redriven = cli("dead-letter", "redrive", workflow, "--run-id", bad, *edit, "--yes", "--json")
    assert redriven.code == 0, redriven.err
    replayed = cli("replay", workflow, "--from", "0", "--yes", "--json", timeout=90)
    assert replayed.code == 0, replayed.err
    shadowed = cli("replay", workflow, "--from", "0", "--shadow", file, "--yes", "--json", timeout=90)
    assert "summary" in shadowed.json[-1], shadowed.err
    asyncio.run(until_no_lag(cli.bootstrap, f"{prefix}penstock.{workflow}"))
    assert cli("audit", "run", workflow).out.rstrip().endswith("0 violations")
    assert cli("audit", "verify", workflow).code == 0
    assert cli("providers", "--json").code == 0
    assert workflow in _console(cli)
    topics, groups = asyncio.run(_on_broker(cli.bootstrap, workflow))
    assert all(name.startswith(prefix) for name in (*topics, *groups))

    (tmp_path / "penstock.toml").unlink()
    gone = cli("runs", "list", "--workflow", workflow)
    assert gone.code == 1
    assert f"the broker has no workflow '{workflow}'" in gone.err
    assert workflow not in _console(cli)


def _console(cli: Cli) -> set[str]:
    """Return the workflows that a console shows once it has read all."""
    process = cli.start("console", "--port", "0", "--public-read", "--json")
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"].rstrip("/")
    while True:
        with urllib.request.urlopen(f"{url}/v1/status", timeout=20) as answer:
            if json.load(answer)["ready"]:
                break
    with urllib.request.urlopen(f"{url}/v1/workflows", timeout=20) as answer:
        found = json.load(answer)
    process.terminate()
    process.wait(timeout=30)
    return {one["id"] for one in (found["items"])}
