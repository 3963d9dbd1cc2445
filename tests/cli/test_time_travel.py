"""`penstock runs show --at`: a run as it stood then is what was seen live then."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


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
