"""`penstock runs show --at`: a run as it stood then is what was seen live then."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, assert_clean, write_workflow

pytestmark = pytest.mark.kafka


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def shown(cli: Cli, workflow: str, *more: str) -> dict[str, Any]:
    return cli("runs", "show", "r1", "--workflow", workflow, "--json", *more).object


def until_running(cli: Cli, workflow: str) -> dict[str, Any]:
    """Return what is shown once the first node is at work."""
    while True:
        answer = cli("runs", "show", "r1", "--workflow", workflow, "--json")
        if answer.code == 0 and answer.object["nodes"]["hold"]["status"] == "running":
            return answer.object


def test_what_was_seen_live_is_shown_again(cli: Cli, waiting: tuple[str, Path]) -> None:
    workflow, file = waiting
    cli.worker(file)
    before = now()
    cli("publish", workflow, "--input", json.dumps({"seconds": 6}), "--run-id", "r1", "--json")
    live, at = until_running(cli, workflow), now()
    assert cli("consume", workflow, "--run-id", "r1", "--timeout", "60").code == 0
    cli("replay", workflow, "--run-id", "r1", "--node", "after", "--yes", timeout=90)
    ended = shown(cli, workflow)
    assert shown(cli, workflow, "--at", at) == live
    assert shown(cli, workflow, "--at", now()) == ended
    assert (live["status"], ended["status"], ended["epoch"] > 0) == ("running", "success", True)
    early = cli("runs", "show", "r1", "--workflow", workflow, "--at", before)
    assert (early.code, "began at" in early.err) == (1, True), early.err
    # The last record of the run's partition is the end of its second epoch.
    assert shown(cli, workflow, "--at", "4")["nodes"].keys() == ended["nodes"].keys()
    assert cli("runs", "show", "r1", "--workflow", workflow, "--at", "99").code == 1
    assert cli("runs", "show", "r1", "--workflow", workflow, "--at", "soon").code == 2


FORKED = """workflow:
  id: {id}
  nodes:
    - {{id: first, type: function, handler: "logged.py:first"}}
    - {{id: beside, type: function, handler: "logged.py:beside"}}
    - {{id: then, type: function, handler: "logged.py:then", dependencies: [first, beside]}}
    - {{id: last, type: function, handler: "logged.py:last", dependencies: [then]}}
"""
LOGGED = """
import pathlib

def _named(name):
    def handle(inputs, context):
        with (pathlib.Path(__file__).parent / "log").open("a") as log:
            log.write(f"{context.run_id} {name}\\n")
        return {"by": name, "saw": {of: output["by"] for of, output in inputs.items() if "by" in output}}
    return handle

first, beside, then, last = map(_named, ("first", "beside", "then", "last"))
"""


def test_a_fork_takes_over_what_is_above_a_node(cli: Cli) -> None:
    (cli.folder / "logged.py").write_text(LOGGED)
    workflow, file = write_workflow(cli.folder, FORKED)
    cli.worker(file)
    cli("publish", workflow, "--input", "{}", "--run-id", "r1")
    assert cli("consume", workflow, "--run-id", "r1", "--timeout", "60").code == 0
    fork = ("runs", "fork", "r1", "--workflow", workflow, "--from", "then", "--run-id", "r2", "--json")
    for wrong, said in (({"then": {}}, "'then' is not taken over"), ({"first": None}, "leaves nothing of 'first'")):
        refused = cli(*fork, "--edit", json.dumps(wrong))
        assert (refused.code > 0, said in refused.err) == (True, True), refused.err
    made = cli(*fork, "--edit", '{"first": {"by": "hand"}}').object
    assert made == {"run_id": "r2", "forked_from": "r1", "from": "then", "reused": ["beside", "first"]}
    result = cli("consume", workflow, "--run-id", "r2", "--timeout", "60", "--json").object
    assert {name: node["reused"] for name, node in result["nodes"].items()} == {
        "first": True,
        "beside": True,
        "then": False,
        "last": False,
    }
    assert [line for line in (cli.folder / "log").read_text().splitlines() if line.startswith("r2")] == [
        "r2 then",
        "r2 last",
    ]
    assert shown(cli, workflow)["nodes"]["then"]["output"]["saw"] == {"first": "first", "beside": "beside"}
    forked = cli("runs", "show", "r2", "--workflow", workflow, "--json").object
    assert forked["nodes"]["then"]["output"]["saw"] == {"first": "hand", "beside": "beside"}
    assert cli("runs", "fork", "r1", "--workflow", workflow, "--from", "nope").code == 1
    assert_clean(cli, workflow)
