"""A worker killed in the middle, as production does it: every run ends once, and what succeeded is not run again."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_workflow
from tests.kafka_tools import read_until, until_no_lag

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

NODES = """
import asyncio, json, os

def note(context, what):
    with open("executions.jsonl", "a") as file:
        file.write(json.dumps([what, os.getpid(), context.node, context.run_id]) + "\\n")

async def handle(inputs, context):
    note(context, "begun")
    await asyncio.sleep(0.3)
    note(context, "ended")
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


def executions(folder: Path, what: str) -> list[tuple[int, str, str]]:
    file = folder / "executions.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(pid, node, run) for kind, pid, node, run in map(json.loads, lines) if kind == what]


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
    in_flight = len(executions(cli.folder, "begun")) - len(executions(cli.folder, "ended"))
    cli.worker(file)
    found = await read_until(cli.bootstrap, f"{workflow_id}.output", lambda rs: len({r.key for r in rs}) >= 100)
    results = [json.loads(r.value) for r in found]
    assert Counter(r["run_id"] for r in results) == Counter(p["run_id"] for p in published)
    assert {r["status"] for r in results} == {"success"}
    assert len({dict(r.headers)["ce_id"] for r in found}) == 100

    times = Counter((node, run) for _, node, run in executions(cli.folder, "begun"))
    journals = [
        r for n in "abcd" for r in await read_until(cli.bootstrap, f"{workflow_id}.{n}", lambda rs: len(rs) >= 100)
    ]
    assert len(times) == 400
    assert sum(times.values()) - 400 <= in_flight + 5, "what ended just before the kill may not have been published"
    assert len(journals) - 400 <= in_flight
    await until_no_lag(cli.bootstrap, f"penstock.{workflow_id}")


def test_parallel_branches_take_less_than_one_and_a_half_of_one(cli: Cli) -> None:
    _, file = write_workflow(cli.folder, DIAMOND)
    (cli.folder / "slow.py").write_text(NODES.replace("0.3", "0.5"))
    result = cli("run", file, "--input", "{}", "--json").object
    took = [result["nodes"][node] for node in "bc"]
    begun, ended = max(node["started_at"] for node in took), min(node["finished_at"] for node in took)
    assert begun < ended, "the second began before the first ended"
