"""Other teams' workflows on the same brokers: what cannot be read is named and left out, the others are served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from schemas.codec import encode
from schemas.records import Position, RunRow
from streams.engine.clients import connected_admin, producer_of
from streams.engine.config import EngineConfig
from streams.sealing.keyring import Keyring
from tests.cli.conftest import Cli
from tests.console.conftest import Console
from tests.kafka_tools import publish, unique
from topology.naming import changelog_topic, control_topic, journal_topic, node_table, run_topic

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("leaves_no_topics")]


async def make_topics(bootstrap: str, workflow: str) -> None:
    """Make what a workflow with a node `x` is known by."""
    names = [run_topic(workflow), control_topic(workflow), journal_topic(workflow, "x")]
    names += [changelog_topic(workflow, table) for table in ("run", node_table("x"))]
    async with connected_admin(EngineConfig(bootstrap)) as admin:
        await admin.create_topics([NewTopic(name, 1, 1) for name in names])


async def others_on(bootstrap: str) -> tuple[str, str]:
    """Make a workflow whose rows are encrypted with a key of others, and one with garbage in its topics."""
    sealed, odd = unique("sealed"), unique("odd")
    for workflow in (sealed, odd):
        await make_topics(bootstrap, workflow)
    row = encode(RunRow("theirs", "success", source=Position(f"{sealed}.input", 0, 1), started_at=1, finished_at=2))
    keyring = Keyring("theirs", {"theirs": os.urandom(32)})
    producer = producer_of(EngineConfig(bootstrap, sealing=keyring))
    await producer.start()
    try:
        await producer.send_and_wait(changelog_topic(sealed, "run"), row, key=b"theirs")
    finally:
        await producer.stop()
    await publish(bootstrap, changelog_topic(odd, "run"), [b"garbage"], ["r"])
    huge = {"type": "replay", "replay": "p", "run_id": "r", "began_at": 2**63}
    await publish(bootstrap, control_topic(odd), [huge], ["r"])
    return sealed, odd


async def test_what_others_have_is_named_and_left_out(console: Console, workflow: str, tmp_path: Path) -> None:
    assert console.cli.bootstrap is not None
    sealed, odd = await others_on(console.cli.bootstrap)
    run_id = console.start_run(workflow, {"n": 1})
    console.until("/v1/reviews", lambda said: said["items"], workflow=workflow)
    cli = Cli(tmp_path, console.cli.bootstrap)

    for command, found in (
        (("runs", "show", run_id), "run_id"),
        (("review", "list"), "node"),
        (("review", "approve", run_id, "gate"), "hash"),
    ):
        answer = cli(*command, "--json")
        assert answer.code == 0, answer.err
        assert any(line[found] for line in answer.json if line["workflow_id"] == workflow)
        if command != ("review", "list"):  # it looks at rows of nodes
            assert f"workflow {sealed!r} is left out" in answer.err
            assert "add encryption.keys.theirs" in answer.err
            assert f"workflow {odd!r} is left out: {changelog_topic(odd, 'run')}/0/0: " in answer.err
    lost = cli("runs", "show", "nobody's")
    assert lost.code == 1
    assert f"(not looked at: {odd!r}, {sealed!r})" in lost.err
    named = cli("runs", "list", "--workflow", odd)
    assert (named.code, "/0/0: " in named.err, "left out" in named.err) == (1, True, False), named.err

    later = Console.start(cli)
    try:
        for one in (console, later):
            shown = one.until("/v1/workflows", lambda said: (of := reasons(said))[sealed] and of[odd] and of)
            assert (shown[workflow], "encryption.keys.theirs" in shown[sealed]) == (None, True)
            assert "OverflowError" in shown[odd]
            assert one.get(f"/v1/runs/{run_id}")["workflow_id"] == workflow
            status = one.get("/v1/status")
            assert (status["ready"], status["error"]) == (True, None)
            assert {sealed, odd} <= {left["workflow_id"] for left in status["unreadable"]}
            assert repr(sealed) in one.http.get("/v1/runs/nobodys").text
    finally:
        later.close()
        cli.close()


def reasons(said: dict[str, list[dict[str, str | None]]]) -> dict[str | None, str | None]:
    return {one["id"]: one["unreadable"] for one in said["items"]}
