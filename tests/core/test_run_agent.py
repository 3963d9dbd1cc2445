"""The run agent: one status, one result per run, a function of the winning node records only (PROTOCOL.md 3)."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from schemas.codec import encode
from schemas.records import (
    Finished,
    NodeOutcome,
    NodeRecord,
    NodeStatus,
    Position,
    RunRecord,
    RunRow,
    RunStatus,
    Spent,
)
from streams.core.dead_letter import conflicting_start
from streams.core.result import result_record
from streams.core.run_agent import decide, status_of
from streams.core.transition import NOTHING, Transition, send
from tests.core.examples import (
    ERROR,
    RUN,
    SOURCE,
    SPENT,
    TRACE,
    attempt_failed,
    cancel_requested,
    cancelled,
    due,
    failed,
    skipped,
    started,
    succeeded,
)
from tests.plans import plan_of

PLAN = plan_of({"a": (), "b": ("a",)})
START = started()
STARTED = RunRow(
    RUN,
    source=SOURCE,
    input_hash=START.input_hash,
    plan_hash="hash",
    workflow_version="1",
    started_at=40_000,
    traceparent=TRACE,
    seen=0,
)
A_DONE = NodeOutcome("success", 1, 1, None, SPENT, "m", 50_000, 60_000, None)
B_DONE = replace(A_DONE, output='{"a":1}')


def fold(*records: RunRecord | NodeRecord) -> tuple[RunRow | None, list[Transition]]:
    """Return the row after `records`, and every transition."""
    row, found = None, []
    for record in records:
        found.append(decide(PLAN, row, record))
        row = found[-1].row or row  # type: ignore[assignment]
    return row, found  # type: ignore[return-value]


def ended(row: RunRow, status: RunStatus, at: int) -> Transition:
    """Return the end of a run: the result first, then `Finished`."""
    done = replace(row, status=status, finished_at=at)
    finished = send("wf.run", Finished(RUN, 0, status, at), "run", 0, 0, TRACE)
    return Transition(row=done, sends=(result_record(PLAN, done), finished))


def test_the_first_started_opens_the_run() -> None:
    assert decide(PLAN, None, START) == Transition(row=STARTED)


def test_the_same_record_again_or_the_same_input_again_is_one_run() -> None:
    assert decide(PLAN, STARTED, START) == NOTHING
    assert decide(PLAN, STARTED, started(source=Position("wf.input", 1, 0))) == NOTHING
    assert decide(PLAN, STARTED, started('{ "n": 1 }', source=Position("wf.input", 1, 0))) == NOTHING


@pytest.mark.parametrize("key", [b"r1", None, b"\xff\x00"])
def test_another_input_is_a_conflict_with_its_original_bytes(key: bytes | None) -> None:
    other = started('{"n" :  2}', source=Position("wf.input", 1, 5), key=key)
    message = "run id 'r1' was started with another input by wf.input/0/7"
    found = decide(PLAN, STARTED, other)
    assert found == Transition(sends=(conflicting_start("wf.dead-letter", "wf", other, message),))
    assert (found.sends[0].key, found.sends[0].value) == (key, b'{"n" :  2}')
    headers = dict(found.sends[0].headers)
    assert headers["penstock.error.kind"] == b"run_id_conflict"
    assert (headers["penstock.error.topic"], headers["penstock.error.partition"]) == (b"wf.input", b"1")
    assert headers["penstock.error.offset"] == b"5"


def test_another_input_at_the_same_place_is_a_conflict_too() -> None:
    """The input topic was deleted and made again: offsets repeat."""
    assert len(decide(PLAN, STARTED, started('{"n":2}', source=SOURCE)).sends) == 1


def test_a_conflict_is_found_after_the_end_too() -> None:
    row, _ = fold(START, succeeded("a"), succeeded("b"))
    assert len(decide(PLAN, row, started("{}", source=Position("wf.input", 1, 5))).sends) == 1


def test_success_is_written_once_every_node_ended() -> None:
    row, found = fold(START, succeeded("a"), succeeded("b", at=70_000))
    assert found[1] == Transition(row=replace(STARTED, nodes={"a": A_DONE}))
    before = replace(STARTED, nodes={"a": A_DONE, "b": replace(B_DONE, finished_at=70_000)})
    assert found[2] == ended(before, "success", 70_000)
    for late in (succeeded("a"), failed("b"), cancelled("a"), attempt_failed("a"), cancel_requested()):
        assert decide(PLAN, row, late) == NOTHING


def test_the_outcome_is_the_same_in_every_order_of_topics() -> None:
    records = (START, succeeded("a", at=60_001), failed("b", at=60_002))
    ends = {repr(fold(*order)[0]).replace("'", "") for order in permutations(records)}
    rows = [fold(*order)[0] for order in permutations(records)]
    assert all(row == rows[0] for row in rows), ends
    results = {fold(*order)[1][-1].sends for order in permutations(records)}
    assert len(results) == 1


def test_nothing_ends_before_the_start_is_known() -> None:
    _, found = fold(succeeded("a"), succeeded("b"))
    assert all(not transition.sends for transition in found)


def test_failed_attempts_are_counted_and_paid_once() -> None:
    row, found = fold(START, attempt_failed("a"), attempt_failed("a"), attempt_failed("a", seq=2, attempt=2))
    outcome = NodeOutcome("pending", 2, 2, ERROR, SPENT + SPENT, None, 50_000)
    assert row == replace(STARTED, nodes={"a": outcome})
    assert found[2] == NOTHING
    final = decide(PLAN, row, succeeded("a", seq=3, attempt=3)).row
    assert isinstance(final, RunRow)
    assert final.nodes["a"] == NodeOutcome("success", 3, 3, None, SPENT + SPENT + SPENT, "m", 50_000, 60_000)


def test_a_failed_node_fails_the_run_and_says_why() -> None:
    row, found = fold(START, attempt_failed("a"), failed("a"), skipped("b"))
    assert row is not None
    assert row.status == "failed"
    assert row.nodes["a"] == NodeOutcome("failed", 1, 1, failed("a").error, SPENT, None, 50_000, 61_000)
    assert row.nodes["b"] == NodeOutcome("skipped", finished_at=62_000)
    assert len(found[-1].sends) == 2


def test_only_sinks_outputs_are_kept() -> None:
    row, _ = fold(START, succeeded("a"), succeeded("b"))
    assert row is not None
    assert [row.nodes[node].output for node in "ab"] == [None, '{"a":1}']


def test_a_cancel_is_remembered_before_the_start() -> None:
    row, found = fold(cancel_requested(), cancelled("a", at=63_000), cancelled("b", at=63_000), START)
    assert found[0] == NOTHING
    assert row is not None
    assert row.status == "cancelled"
    assert len(found[-1].sends) == 2


def test_a_request_to_cancel_changes_nothing_by_itself() -> None:
    row, _ = fold(START, cancel_requested())
    assert row == STARTED


def test_what_is_not_for_the_run_agent() -> None:
    assert decide(PLAN, STARTED, due(of="a")) == NOTHING
    assert decide(PLAN, STARTED, Finished(RUN, 0, "success", 1)) == NOTHING


@pytest.mark.parametrize("early", [succeeded("a", epoch=4), attempt_failed("a", epoch=4)], ids=repr)
def test_an_epoch_that_was_not_opened_yet_waits(early: NodeRecord) -> None:
    held = replace(STARTED, ahead=(encode(early),))
    assert decide(PLAN, STARTED, early) == Transition(row=held)
    assert decide(PLAN, held, early) == NOTHING


STATUS_OF: dict[tuple[NodeStatus, ...], RunStatus] = {
    ("success", "success"): "success",
    ("success", "skipped"): "success",
    ("skipped", "skipped"): "success",
    ("success", "failed"): "failed",
    ("failed", "skipped"): "failed",
    ("cancelled", "success"): "cancelled",
    ("cancelled", "failed"): "cancelled",
}


@pytest.mark.parametrize("ends", STATUS_OF, ids=str)
def test_status(ends: tuple[NodeStatus, ...]) -> None:
    for order in permutations(ends):
        assert status_of([NodeOutcome(end) for end in order]) == STATUS_OF[ends]


def test_a_price_not_known_makes_the_total_unknown() -> None:
    assert Spent(1, 1, None) + Spent(1, 1, 0.5) == Spent(2, 2, None)
    assert Spent(1, 1, 0.25) + Spent(1, 1, 0.5) == Spent(2, 2, 0.75)
