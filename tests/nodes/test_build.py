"""A node never raises, whatever goes wrong within it."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.outcome import Failed, NodeInput, Outcome
from streams.nodes import Resources, build
from streams.nodes.kinds import GuardedNode
from tests.nodes.conftest import API_KEY, attempt, node_plan


class Broken:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def execute(self, node_input: NodeInput) -> Outcome:
        raise self.error


async def test_a_bug_of_ours_is_a_failed_attempt(resources: Resources, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = await GuardedNode(Broken(AttributeError(f"oops {API_KEY}")), resources).execute(attempt())
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.retryable) == ("internal", True)
    assert "oops" in outcome.error.message
    assert API_KEY not in outcome.error.message + capsys.readouterr().out


async def test_cancellation_is_not_caught(resources: Resources) -> None:
    with pytest.raises(asyncio.CancelledError):
        await GuardedNode(Broken(asyncio.CancelledError()), resources).execute(attempt())


def test_other_kinds_do_not_run_here(resources: Resources) -> None:
    with pytest.raises(NotImplementedError, match="'review'"):
        build(node_plan("review"), "wf", resources)
