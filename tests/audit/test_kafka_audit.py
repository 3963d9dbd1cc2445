"""The audit of a workflow on real Kafka, by the command as people run it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from schemas.codec import decode
from schemas.headers import OWNER_EPOCH
from schemas.records import NodeRow
from streams.audit.layout import CONSUMED, layout_of
from streams.audit.read import extents_of, java_partition
from streams.engine.clients import admin_of, reader_of
from streams.engine.config import EngineConfig
from streams.engine.topics import partition_counts
from streams.testing import answers
from tests.engine.scripts import broken, echo, flaky
from tests.kafka_tools import PATIENCE_S, engine_for, publish, read_all, results, running, unique
from tests.plans import DIAMOND, plan_of
from topology.naming import changelog_topic, journal_topic
from topology.plan import RetryPolicy, WorkflowPlan

pytestmark = pytest.mark.kafka


async def until_quiet(bootstrap: str, workflow: str) -> None:
    """Wait until everything is consumed and committed."""
    config = EngineConfig(bootstrap)
    admin, reader = admin_of(config), reader_of(config)
    await admin.start()
    await reader.start()
    try:
        layout = layout_of(workflow, await partition_counts(admin), java_partition)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                extents = await extents_of(admin, reader, layout)
                consumed = [e for place, e in extents.items() if layout.roles[place[0]] in CONSUMED]
                if all(extent.end == (extent.committed or 0) for extent in consumed):
                    return
    finally:
        await reader.stop()
        await admin.close()


def audit(bootstrap: str, folder: Path, *args: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    command = [sys.executable, "-m", "penstock", "audit", "run", *args, "--bootstrap", bootstrap]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "OPENAI_"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


async def audited(bootstrap: str, folder: Path, *args: str) -> tuple[int, str]:
    """Run the command beside whatever runs here."""
    return await asyncio.to_thread(audit, bootstrap, folder, *args)


async def repeat(bootstrap: str, record: ConsumerRecord, value: bytes, *headers: tuple[str, bytes]) -> tuple[int, int]:
    """Produce a record again, with another value and, if given, other headers; return its partition and offset."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        sent = await producer.send_and_wait(
            record.topic, value, key=record.key, partition=record.partition, headers=list(headers or record.headers)
        )
        return sent.partition, sent.offset
    finally:
        await producer.stop()


@pytest.fixture
async def workflow(bootstrap: str) -> WorkflowPlan:
    """A workflow that ran: successes, retries, failures, poison, a conflict, a cancel; its worker has left."""
    fast = {"retry": RetryPolicy(2, 20)}
    plan = plan_of(DIAMOND, unique("audit"), dict.fromkeys(DIAMOND, fast))
    nodes = {
        "classify": answers(echo),
        "extract": answers(lambda i: flaky(1)(i) if i.run_id in ("r1", "r2") else echo(i)),
        "sentiment": answers(lambda i: broken(i) if i.run_id in ("r3", "r4") else echo(i)),
        "summarize": answers(echo),
    }
    async with running(engine_for(plan, nodes, bootstrap)):
        await publish(bootstrap, plan.topic("control"), [{"type": "cancel", "run_id": "r9"}])
        inputs: list[Any] = [{"n": n} for n in range(10)]
        await publish(bootstrap, plan.topic("input"), inputs, [f"r{n}" for n in range(10)])
        await publish(bootstrap, plan.topic("input"), [{"n": 99}, b"{", {"n": 0}, {"n": 5}], ["r0", "bad", "r0", None])
        await results(bootstrap, plan, 11)
        await until_quiet(bootstrap, plan.id)
    return plan


async def test_an_honest_workflow_and_then_a_doctored_one(
    bootstrap: str, workflow: WorkflowPlan, tmp_path: Path
) -> None:
    code, out = await audited(bootstrap, tmp_path, workflow.id)
    assert (code, out.splitlines()[-1]) == (0, "0 violations"), out
    code, out = await audited(bootstrap, tmp_path, workflow.id, "--json")
    (summary,) = map(json.loads, out.splitlines())
    figures = summary["summary"]
    assert code == 0
    assert (figures["inputs"], figures["runs"], figures["results"], figures["refused"]) == (14, 11, 11, 2)
    assert (figures["dead_letters"], figures["repeated_inputs"], figures["repeated"], figures["waiting"]) == (
        2,
        1,
        0,
        0,
    )

    journal = (await read_all(bootstrap, journal_topic(workflow.id, "classify")))[0]
    at = await repeat(bootstrap, journal, b"not a record")
    rows = await read_all(bootstrap, changelog_topic(workflow.id, "classify"))
    late = next(r for r in rows if r.value and isinstance(decode(r.value), NodeRow))
    zombie = await repeat(bootstrap, late, late.value or b"", (OWNER_EPOCH, b"0"))
    code, out = await audited(bootstrap, tmp_path, workflow.id, "--not-quiet")
    assert code == 1
    assert f"{journal.topic}/{at[0]}/{at[1]}" in out
    assert f"{late.topic}/{zombie[0]}/{zombie[1]}" in out
    assert out.splitlines()[-1] == "2 violations", out
    code, out = await audited(bootstrap, tmp_path, workflow.id, "--json")
    *found, last = map(json.loads, out.splitlines())
    assert code == 1
    assert {v["code"] for v in found} == {"b.behind", "c.zombie-row", "g.undecodable"}
    assert (last["summary"]["violations"], last["summary"]["codes"]["b.behind"]) == (3, 1)
    assert {"topic": journal.topic, "partition": at[0], "offset": at[1]}.items() <= found[2].items()


async def test_a_workflow_that_is_not_there(bootstrap: str, tmp_path: Path) -> None:
    code, out = await audited(bootstrap, tmp_path, unique("nothing"))
    assert (code, out) == (1, "")
