"""A worker killed in the middle, as production does it: every run ends once, and what succeeded is not run again."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_workflow
from tests.kafka_tools import read_all, read_until, until_no_lag

pytestmark = pytest.mark.kafka

NODES = """
import asyncio, json, os

async def handle(inputs, context):
    with open("executions.jsonl", "a") as file:
        file.write(json.dumps([os.getpid(), context.node, context.run_id]) + "\\n")
    await asyncio.sleep(0.3)
    return {"node": context.node}
"""

DIAMOND = """workflow:
  id: {id}
  nodes:
    - {{id: a, type: function, handler: slow.py}}
    - {{id: b, type: function, handler: slow.py, dependencies: [a]}}
    - {{id: c, type: function, handler: slow.py, dependencies: [a]}}
    - {{id: d, type: function, handler: slow.py, dependencies: [b, c]}}
"""


def executions(folder: Path) -> list[tuple[int, str, str]]:
    return [tuple(json.loads(line)) for line in (folder / "executions.jsonl").read_text().splitlines()]


async def test_kill_9_in_the_middle_of_100_runs(cli: Cli) -> None:
    workflow_id, file = write_workflow(cli.folder, DIAMOND)
    (cli.folder / "slow.py").write_text(NODES)
    first = cli.worker(file)
    inputs = "\n".join(json.dumps({"n": n}) for n in range(100))
    published = cli("publish", workflow_id, "--input-file", "-", "--json", stdin=inputs).json
    assert cli.bootstrap is not None
    await read_until(cli.bootstrap, f"{workflow_id}.b", lambda rs: len(rs) >= 10)
    first.send_signal(signal.SIGKILL)
    first.wait()
    succeeded = {
        (node, r.key.decode()) for node in "abcd" for r in await read_all(cli.bootstrap, f"{workflow_id}.{node}")
    }
    cli.worker(file)
    found = await read_until(cli.bootstrap, f"{workflow_id}.output", lambda rs: len({r.key for r in rs}) >= 100)
    results = [json.loads(r.value) for r in found]
    assert Counter(r["run_id"] for r in results) == Counter(p["run_id"] for p in published)
    assert {r["status"] for r in results} == {"success"}
    assert len({dict(r.headers)["ce_id"] for r in found}) == 100

    again = {(node, run) for pid, node, run in executions(cli.folder) if pid != first.pid}
    assert len(succeeded) >= 110
    assert again & succeeded == set(), "what had succeeded was called again"
    assert again | succeeded == {(node, r["run_id"]) for r in results for node in "abcd"}
    await until_no_lag(cli.bootstrap, f"penstock.{workflow_id}")


def test_parallel_branches_take_less_than_one_and_a_half_of_one(cli: Cli) -> None:
    _, file = write_workflow(cli.folder, DIAMOND)
    (cli.folder / "slow.py").write_text(NODES.replace("0.3", "0.5"))
    result = cli("run", file, "--input", "{}", "--json").object
    took = [result["nodes"][node] for node in "bc"]
    begun, ended = max(node["started_at"] for node in took), min(node["finished_at"] for node in took)
    assert begun < ended, "the second began before the first ended"
