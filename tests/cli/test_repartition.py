"""A drained workflow on real Kafka, moved to another partition count: what it knew, it knows."""

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord

from streams.engine.partitions import partition_of
from tests.cli.conftest import Cli, assert_clean, write_workflow
from tests.kafka_tools import read_all

pytestmark = pytest.mark.kafka

ONCE = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - id: add
      type: function
      handler: nodes.py:add
    - id: twice_it
      type: function
      handler: nodes.py:double
      dependencies: [add]
      max_retries: 1
      backoff_ms: 10
      idempotency_key: "${{add.n}}"
    - id: each
      type: function
      handler: nodes.py:item
      for_each: input.list
      dependencies: [add]
"""
ITEM = """

def item(inputs, context):
    return {"i": inputs["item"]}
"""


def _end(cli: Cli, workflow: str, process: subprocess.Popen[str]) -> None:
    """End a worker once it has read all there is: it is told to stop at the last result, and what it wrote with that may be unread."""
    assert_clean(cli, workflow)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def _records(cli: Cli, topic: str) -> list[ConsumerRecord]:
    assert cli.bootstrap is not None
    return asyncio.run(read_all(cli.bootstrap, topic))


def _told(records: list[ConsumerRecord]) -> list[tuple[object, ...]]:
    return sorted((r.key, r.value, tuple(r.headers), r.timestamp) for r in records)


def test_more_partitions_and_fewer(cli: Cli, tmp_path: Path) -> None:
    workflow, file = write_workflow(tmp_path, ONCE)
    (tmp_path / "nodes.py").write_text((tmp_path / "nodes.py").read_text() + ITEM)
    worker = cli.worker(file, "--partitions", "2")
    lines = "\n".join(f'{{"n": {n}, "list": [1, 2]}}' for n in (1, 2, 3, 4, 5, 6, 7, -5))
    cli("publish", workflow, "--input-file", "-", stdin=lines)
    cli("publish", workflow, "--input", '{"n": 1, "list": []}', "--run-id", "known")
    assert len(cli("consume", workflow, "--max", "9", "--timeout", "60", "--json").json) == 9
    (letter,) = cli("dead-letter", "list", workflow, "--json").json
    edit = ("--edit", '{"add": {"n": 50}}', "--yes", "--json")
    assert cli("dead-letter", "redrive", workflow, *edit).code == 0
    _end(cli, workflow, worker)

    before = {topic: _records(cli, f"{workflow}.{topic}") for topic in ("run", "add", "output", "twice-it.effects")}
    shown = cli("runs", "show", letter["run_id"], "--json").object
    dry = cli("repartition", file, "--partitions", "5", "--dry-run", "--json").object
    assert (dry["from"], dry["partitions"], dry["outcome"]) == ([2], 5, "dry run")
    done = cli("repartition", workflow, "--partitions", "5", "--yes", "--json", timeout=120)
    assert done.code == 0, done.err
    assert done.object["outcome"] == "done"

    for topic, records in before.items():
        after = _records(cli, f"{workflow}.{topic}")
        assert _told(after) == _told(records), topic
        assert all(r.partition == partition_of(r.key, 5) for r in after)
    assert cli("runs", "show", letter["run_id"], "--json").object == shown
    assert_clean(cli, workflow)

    # --- and work goes on
    worker = cli.worker(file)
    cli("publish", workflow, "--input", '{"n": 1, "list": []}', "--run-id", "known")
    lines = "\n".join(f'{{"n": {n}, "list": []}}' for n in (*range(20, 40), -7))
    more = cli("publish", workflow, "--input-file", "-", "--json", stdin=lines).json
    assert len(cli("consume", workflow, "--max", str(10 + len(more)), "--timeout", "60", "--json").json) == 10 + len(
        more
    )
    assert len({r.partition for r in _records(cli, f"{workflow}.run")}) == 5
    assert len(cli("consume", workflow, "--run-id", "known", "--timeout", "5", "--json").json) == 1
    assert cli("dead-letter", "redrive", workflow, *edit).code == 0
    replayed = cli("replay", workflow, "--from", "0", "--run-id", letter["run_id"], "--yes", "--json", timeout=90)
    assert replayed.code == 0, replayed.err
    epochs = cli("runs", "show", letter["run_id"], "--json").object
    assert (epochs["status"], epochs["epoch"] > shown["epoch"]) == ("success", True)
    _end(cli, workflow, worker)

    fewer = cli("repartition", workflow, "--partitions", "3", "--yes", timeout=120)
    assert fewer.code == 0, fewer.err
    cli.worker(file)
    again = cli("replay", workflow, "--from", "0", "--run-id", letter["run_id"], "--again", "--yes", timeout=90)
    assert again.code == 0, again.err
    assert cli("runs", "show", letter["run_id"], "--json").object["epoch"] > epochs["epoch"]
    assert_clean(cli, workflow)
