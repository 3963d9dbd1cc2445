"""Reviews after a crash: what the journal holds twice, too early or without its cause must not decide."""

from __future__ import annotations

from dataclasses import replace

from schemas.chain import record_hash
from schemas.records import (
    Decided,
    EpochOpened,
    Failed,
    NodeRow,
    Position,
    Refused,
    ReviewRequested,
    ReviewSubmitted,
    TimedOut,
)
from streams.core.ahead import held, taken
from streams.core.compiled import CompiledNode
from streams.core.node_agent import decide
from streams.core.transition import NOTHING
from tests.core.examples import MOMENT, RUN, root, started
from tests.plans import review

AT = Position("wf.control", 0, 3)
SAYS = ReviewSubmitted(RUN, "n", -1, None, "approve", "ada", None, None, 60_000, AT)
OPENED = EpochOpened(RUN, 9, 0, "n", ("n",), None, "hash", "1", None, 0, 70_000, Position("wf.control", 0, 9))


def asked() -> tuple[CompiledNode, NodeRow, ReviewRequested]:
    """Return a review, its row once it asked, and what it asked."""
    node = root(**review())
    transition = decide(node, None, started(), MOMENT)
    record, row = transition.sends[0].value, transition.row
    assert isinstance(record, ReviewRequested)
    assert isinstance(row, NodeRow)
    return node, row, record


def in_force() -> tuple[CompiledNode, NodeRow, ReviewRequested]:
    """Return the same once the request was read back, at offset 5."""
    node, row, record = asked()
    row = decide(node, row, record, replace(MOMENT, offset=5)).row  # type: ignore[assignment]
    return node, row, record


def kinds(node: CompiledNode, row: NodeRow, record: ReviewSubmitted | TimedOut, offset: int) -> list[type]:
    return [type(send.value) for send in decide(node, row, record, replace(MOMENT, offset=offset)).sends]


def test_an_alarm_without_its_request_decides_nothing() -> None:
    """A crash kept the alarm and lost the request: that was written again, with an alarm of its own."""
    node, row, record = asked()
    over = TimedOut(RUN, "n", 0, record.seq, "review", record.due_at)
    assert decide(node, row, over, replace(MOMENT, offset=4)) == NOTHING
    node, row, record = in_force()
    assert decide(node, row, over, replace(MOMENT, offset=4)) == NOTHING
    assert kinds(node, row, over, 6) == [Decided, Failed]


def test_what_stands_before_the_request_is_refused_whenever_it_is_read() -> None:
    node, row, _ = asked()
    assert kinds(node, row, SAYS, 4) == [Refused]
    node, row, _ = in_force()
    assert kinds(node, row, SAYS, 4) == [Refused]
    assert kinds(node, row, SAYS, 6)[0] is Decided


def test_a_copy_of_the_request_changes_nothing() -> None:
    node, row, record = in_force()
    copy = replace(record, requested_at=record.requested_at + 1, due_at=record.due_at + 1)
    assert decide(node, row, copy, replace(MOMENT, offset=7)) == NOTHING
    assert row.review is not None
    assert row.review.chain == record_hash(record)


def test_a_request_read_before_its_sources_is_taken_over_and_not_asked_again() -> None:
    node, _, record = asked()
    row = decide(node, None, record, replace(MOMENT, offset=5)).row
    assert isinstance(row, NodeRow)
    again = decide(node, row, started(), replace(MOMENT, offset=1))
    assert [type(send.value).__name__ for send in again.sends] == ["RetryScheduled"]
    assert isinstance(again.row, NodeRow)
    assert (again.row.status, again.row.review and again.row.review.requested_at) == ("waiting", 5)


def test_a_request_that_waits_for_its_epoch_keeps_its_offset() -> None:
    node, row, record = in_force()
    early = replace(record, epoch=9, seq=1)
    row = decide(node, row, early, replace(MOMENT, offset=8)).row  # type: ignore[assignment]
    assert taken(row.ahead[0]) == (early, 8)
    ended = replace(row, status="failed", closing=False)
    opened = decide(node, ended, OPENED, replace(MOMENT, offset=77)).row
    assert isinstance(opened, NodeRow)
    assert opened.review is not None
    assert (opened.review.requested_at, opened.review.chain) == (8, record_hash(early))


def test_a_decision_read_again_after_a_redrive_is_neither_refused_nor_taken_twice() -> None:
    node, row, _ = in_force()
    closing = decide(node, row, replace(SAYS, decision="reject"), replace(MOMENT, offset=6))
    failed = closing.sends[1].value
    assert isinstance(failed, Failed)
    assert isinstance(closing.row, NodeRow)
    ended = decide(node, closing.row, failed, replace(MOMENT, offset=8)).row
    assert isinstance(ended, NodeRow)
    opened = decide(node, ended, OPENED, MOMENT).row
    assert isinstance(opened, NodeRow)
    assert decide(node, opened, replace(SAYS, decision="reject"), replace(MOMENT, offset=6)) == NOTHING


def test_only_what_goes_by_its_place_is_held_with_it() -> None:
    assert held(OPENED, 7)[0] == 0
    assert taken(held(OPENED, 7)) == (OPENED, 0)
