"""The read model may be deleted at any time, and topics may be made anew: what is answered is what the topics say."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.cli.conftest import Cli, write_workflow
from tests.console.conftest import GATED, TOKEN, Console

pytestmark = pytest.mark.kafka


def _answers(console: Console, workflow: str) -> dict[str, Any]:
    """Return what all questions about a workflow are answered."""
    runs = console.get("/v1/runs", workflow=workflow, limit=200)
    letters = console.get("/v1/dead-letters", workflow=workflow, limit=200)
    paths = [
        f"/v1/workflows/{workflow}",
        f"/v1/dead-letters/groups?workflow={workflow}",
        f"/v1/reviews?workflow={workflow}",
        f"/v1/replays?workflow={workflow}",
        *(f"/v1/runs/{run['run_id']}?workflow={workflow}" for run in runs["items"]),
        *(f"/v1/dead-letters/{workflow}/{letter['place']}" for letter in letters["items"]),
    ]
    return {"runs": runs, "letters": letters, **{path: console.get(path) for path in paths}}


def _settled(console: Console, workflow: str, runs: int) -> dict[str, Any]:
    console.until(f"/v1/workflows/{workflow}", lambda said: said["runs"]["total"] == runs)
    console.until("/v1/reviews", lambda said: len(said["items"]) == runs - 1, workflow=workflow)
    console.until("/v1/dead-letters", lambda said: len(said["items"]) == 1, workflow=workflow)
    while console.get("/v1/status")["behind"]:
        pass
    return _answers(console, workflow)


async def _delete_topics(bootstrap: str, workflow: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    topics = await admin.list_topics()
    own = [topic for topic in topics if topic.startswith((f"{workflow}.", f"penstock.{workflow}-"))]
    await admin.delete_topics(own)
    await admin.close()


def test_deleted_and_killed_it_answers_the_same(
    tmp_path: Path, bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_CONSOLE_TOKEN", TOKEN)
    cli = Cli(tmp_path, bootstrap)
    try:
        workflow, file = write_workflow(tmp_path, GATED)
        worker = cli.worker(file)
        console = Console.start(cli)
        for n in (1, 2, -5):
            console.start_run(workflow, {"n": n})
        before = _settled(console, workflow, 3)
        assert before[f"/v1/workflows/{workflow}"]["dag"]["source"] == "plan"
        console.end(signal.SIGKILL)
        restarted = Console.start(cli)
        assert _answers(restarted, workflow) == before
        restarted.end(signal.SIGKILL)
        console.delete_read_model()
        rebuilt = Console.start(cli)
        assert _answers(rebuilt, workflow) == before

        worker.terminate()
        assert worker.wait(60) == 0
        asyncio.run(_delete_topics(bootstrap, workflow))
        rebuilt.until("/v1/workflows", lambda said: workflow not in [one["id"] for one in said["items"]])
        cli.worker(file)
        rebuilt.until("/v1/workflows", lambda said: workflow in [one["id"] for one in said["items"]])
        run_id = rebuilt.start_run(workflow, {"n": -1})
        rebuilt.until(f"/v1/runs/{run_id}", lambda run: run["status"] == "success" or run["nodes"].get("gate"))
        assert [run["run_id"] for run in rebuilt.get("/v1/runs", workflow=workflow)["items"]] == [run_id]
        assert rebuilt.get("/v1/dead-letters", workflow=workflow)["items"] == []
        assert rebuilt.end() == 0
    finally:
        cli.close()
