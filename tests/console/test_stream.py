"""A run as it goes, over a stream that is cut again and again, and over a worker that is killed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.conftest import Cli, start_provider, write_workflow
from tests.console.conftest import TOKEN, Console

pytestmark = pytest.mark.kafka

STREAMED = """workflow:
  id: {id}
  nodes:
    - {{id: say, type: llm, model: m, prompt_template: p.j2, stream: true, timeout_ms: 60000}}
"""
BEHIND = """workflow:
  id: {id}
  nodes:
    - {{id: add, type: function, handler: "nodes.py:add"}}
    - {{id: behind, type: function, handler: "nodes.py:wait", background: true, dependencies: [add]}}
"""
CUTS = 20


@pytest.fixture
def cli(tmp_path: Path, bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line with a provider that takes its time, and the token in its settings."""
    monkeypatch.setenv("PENSTOCK_CONSOLE_TOKEN", TOKEN)
    cli = Cli(tmp_path, bootstrap)
    (tmp_path / "provider.json").write_text('{"text_chars": 400, "chunk_chars": 4, "chunk_ms": 60}')
    start_provider(cli, monkeypatch, "fixed:0", "--config", str(tmp_path / "provider.json"))
    (tmp_path / "p.j2").write_text("Say {{ input.n }}")
    yield cli
    cli.close()


def events(console: Console, run_id: str, last: str | None) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream until the server ends it, or the caller leaves."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with console.http.stream("GET", f"/v1/runs/{run_id}/stream", headers=headers) as answer:
        assert answer.status_code == 200
        said: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                said[name] = json.loads(value) if name == "data" else value
            elif not line and "event" in said:
                yield said
                said = {}


class Heard:
    """What a client makes of a stream: a text per node, begun anew by another launch; no id twice, each greater than the last."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.last: str | None = None
        self.nodes: list[tuple[str, str]] = []
        self.done: dict[str, Any] | None = None
        self._of: dict[str, tuple[int, ...]] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event."""
        assert self.last is None or int(event["id"]) > int(self.last)
        self.last, data = event["id"], event["data"]
        if event["event"] == "token":
            of = (data["epoch"], data["attempt"], data["launch"])
            if self._of.get(data["node"]) != of:
                assert data["seq"] == 0
                self._of[data["node"]], self.texts[data["node"]] = of, ""
            self.texts[data["node"]] += data["delta"]
        elif event["event"] == "node":
            self.nodes.append((data["node"], data["status"]))
        else:
            self.done = data


def follow(console: Console, run_id: str, heard: Heard, count: int | None = None) -> None:
    """Hear so many events, then leave; or all of them."""
    for event in events(console, run_id, heard.last):
        heard.take(event)
        if count is not None:
            count -= 1
            if count == 0:
                return


def test_a_stream_that_is_cut_twenty_times_has_the_text_at_its_end(cli: Cli) -> None:
    workflow, file = write_workflow(cli.folder, STREAMED)
    cli.worker(file)
    console = Console.start(cli)
    run_id = console.start_run(workflow, {"n": 1})
    heard, cuts = Heard(), 0
    while heard.done is None:
        if cuts == CUTS // 2:  # another process answers, with a read model of its own
            assert console.end() == 0
            console.delete_read_model()
            console = Console.start(cli)
        follow(console, run_id, heard, 1 if cuts < CUTS else None)
        cuts += 1
    assert cuts > CUTS
    assert heard.done["status"] == "success"
    assert heard.texts["say"] == heard.done["outputs"]["say"]["text"]
    assert heard.nodes[-1] == ("say", "success")
    again = console.http.get(f"/v1/runs/{run_id}/stream", headers={"Last-Event-ID": str(heard.last)})
    assert again.status_code == 204
    (say,) = console.get(f"/v1/runs/{run_id}")["node_details"]
    assert say["prompt"] == {"messages": [{"role": "user", "content": "Say 1"}], "verified": True, "note": None}
    assert say["calls"][0]["raw"] == heard.texts["say"]
    late = Heard()
    follow(console, run_id, late)
    assert late.texts == heard.texts
    assert console.end() == 0


def test_a_text_begins_anew_when_the_worker_is_killed(cli: Cli) -> None:
    workflow, file = write_workflow(cli.folder, STREAMED)
    worker = cli.worker(file)
    console = Console.start(cli)
    run_id = console.start_run(workflow, {"n": 2})
    heard = Heard()
    for event in events(console, run_id, None):
        heard.take(event)
        if event["event"] == "token":
            break
    worker.kill()
    worker.wait()
    cli.worker(file)
    follow(console, run_id, heard)
    assert heard.done is not None
    assert heard.texts["say"] == heard.done["outputs"]["say"]["text"]
    console.end()


def test_a_stream_ends_though_nodes_go_on_behind_the_result(cli: Cli) -> None:
    workflow, file = write_workflow(cli.folder, BEHIND)
    cli.worker(file)
    console = Console.start(cli)
    run_id = console.start_run(workflow, {"n": 1, "seconds": 1})
    heard = Heard()
    while ("behind", "success") not in heard.nodes:  # the server ends the stream at the result, which may come before
        heard = Heard()
        follow(console, run_id, heard)
    assert heard.done is not None
    again = console.http.get(f"/v1/runs/{run_id}/stream", headers={"Last-Event-ID": str(heard.last)})
    assert again.status_code == 204
    console.end()


def test_what_is_no_place_in_a_stream(console: Console, workflow: str) -> None:
    run_id = console.start_run(workflow, {"n": 1})
    bad = console.http.get(f"/v1/runs/{run_id}/stream", headers={"Last-Event-ID": "x"})
    assert (bad.status_code, "Last-Event-ID" in bad.json()["detail"]) == (422, True)
    assert httpx2.get(f"{console.url}/v1/runs/{run_id}/stream").status_code == 401
