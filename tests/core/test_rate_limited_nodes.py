"""A provider that throttles: `on_rate_limit` says whether a node waits for it or asks its next model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.records import AttemptDeferred, ErrorInfo, ModelSwitched, NodeRow, RetryScheduled
from streams.core.compiled import CompiledNode
from streams.core.node_agent import decide
from streams.core.transition import Transition
from tests.core.examples import ERROR, MOMENT, NOW, RUN, attempt_failed, root
from tests.core.test_node_agent_attempts import RUNNING
from tests.plans import llm
from topology.plan import OnRateLimit

THROTTLED = ErrorInfo("rate_limited", "429", retryable=True, retry_after_ms=30_000)
ROW = replace(RUNNING, model=None)


def node(on_rate_limit: OnRateLimit = "fallback") -> CompiledNode:
    return root(**llm("m1", "m2", on_rate_limit=on_rate_limit))


def refused(row: NodeRow, of: CompiledNode, error: ErrorInfo = THROTTLED) -> Transition:
    return decide(of, row, attempt_failed(seq=row.seq, attempt=row.attempt, error=error), MOMENT)


def deferred(row: NodeRow, of: CompiledNode) -> Transition:
    record = AttemptDeferred(RUN, "n", 0, row.seq, row.attempt, 0, "rate_limited", "wait", "m1", NOW + 900, NOW)
    return decide(of, row, record, MOMENT)


def launched(found: Transition) -> NodeRow:
    assert found.launch
    assert isinstance(found.row, NodeRow)
    return found.row


def values(found: Transition) -> list[object]:
    return [sent.value for sent in found.sends]


def test_a_throttled_call_goes_on_with_the_next_model_at_once() -> None:
    found = refused(ROW, node())
    row = launched(found)
    assert (row.choice, row.seq, row.attempt, row.tries_before) == (1, 2, 2, 1)
    assert values(found) == [ModelSwitched(RUN, "n", 0, 2, "m1", "m2", "rate_limited", NOW)]


def test_a_call_that_was_put_off_burns_no_attempt_on_its_way_to_the_next_model() -> None:
    found = deferred(ROW, node())
    row = launched(found)
    assert (row.choice, row.seq, row.attempt, row.tries_before) == (1, 2, 1, 0)
    assert values(found) == [ModelSwitched(RUN, "n", 0, 2, "m1", "m2", "rate_limited", NOW)]


@pytest.mark.parametrize("decided", [refused, deferred])
def test_the_last_model_is_waited_for(decided: object) -> None:
    last = replace(ROW, choice=1, seq=2, attempt=2, tries_before=1)
    assert [type(value) for value in values(decided(last, node()))] == [RetryScheduled]  # type: ignore[operator]


@pytest.mark.parametrize("decided", [refused, deferred])
def test_unless_told_otherwise_it_waits(decided: object) -> None:
    assert [type(value) for value in values(decided(ROW, node("wait")))] == [RetryScheduled]  # type: ignore[operator]


def test_other_failures_are_tried_again_at_the_same_model() -> None:
    assert [type(value) for value in values(refused(ROW, node(), ERROR))] == [RetryScheduled]
