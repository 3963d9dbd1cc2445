"""A node's own journal: attempts, retries, and the first terminal record (PROTOCOL.md 1 and 13)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.records import (
    TERMINAL,
    CallLost,
    ErrorInfo,
    Failed,
    Gathered,
    Json,
    LedgerRow,
    NodeRow,
    NodeStatus,
    RetryScheduled,
    Spent,
    Succeeded,
    Terminal,
)
from streams.core.compiled import compile_workflow
from streams.core.dead_letter import node_dead_letter
from streams.core.ledger import Cost, Ledger, launch_key
from streams.core.node_agent import decide, relaunch
from streams.core.transition import NOTHING, Moment, Transition, send
from tests.core.examples import (
    ERROR,
    FATAL,
    MOMENT,
    NOW,
    RUN,
    SPENT,
    TRACE,
    attempt_failed,
    cancelled,
    due,
    failed,
    root,
    skipped,
    started,
    succeeded,
)
from tests.plans import llm, plan_of
from topology.plan import Budget, RetryPolicy

NODE = root()
RUNNING = NodeRow(
    RUN,
    "running",
    seq=1,
    attempt=1,
    started=True,
    gathered={"input": Gathered("success", Json('{"n":1}'))},
    incarnation="me",
    launched_at=NOW,
    started_at=NOW,
    traceparent=TRACE,
)
WAITING = replace(RUNNING, status="waiting", incarnation=None, last_error=ERROR, spent=SPENT)
CLOSING = replace(WAITING, closing=True, last_error=FATAL)
NON_TERMINAL = {
    "absent": None,
    "pending": NodeRow(RUN, started=True, traceparent=TRACE),
    "running": RUNNING,
    "waiting": WAITING,
    "closing": CLOSING,
}
RECORDS = [succeeded(seq=9, attempt=2), failed(seq=9), skipped(), cancelled()]


def test_a_failure_of_a_launch_that_another_followed_charges_that_one() -> None:
    """A worker was cut off, its successor launched again and died, then the first one's failure came: nobody would tell of the second."""
    budget, key = Budget(1_000, None), launch_key("n", 0, 1, 1)
    ledger = Ledger(RUN, "2026-11-28", budget, None, LedgerRow(RUN, 1_000, None)).reserve(key, Cost(90, 0.9))
    assert isinstance(ledger, Ledger)
    row = replace(RUNNING, launch=1, incarnation="dead")
    found = decide(NODE, row, attempt_failed(), MOMENT, ledger)
    assert found.row is not None
    assert found.row.status == "waiting"
    assert [type(one.value) for one in found.sends] == [CallLost, RetryScheduled]
    assert found.sends[0].value == CallLost(RUN, "n", 0, 1, 1, Spent(90, 0, 0.9), NOW)
    own = decide(NODE, row, replace(attempt_failed(), launch=1), MOMENT, ledger)
    assert [type(one.value) for one in own.sends] == [RetryScheduled]
    assert own.ledger is not None
    assert own.ledger.run.reserved == {}


def test_a_launch_of_its_own_that_nothing_is_reserved_for_is_reserved_again() -> None:
    """Its row was durable, its ledger's was not, or did not count: the call would be made beside the budget."""
    node = compile_workflow(plan_of({"n": ()}, nodes={"n": llm("m1")})).nodes["n"]
    ledger = Ledger(RUN, "2026-11-28", Budget(10_000, None), None, LedgerRow(RUN, 10_000, None))
    row = replace(RUNNING, incarnation=MOMENT.incarnation)
    found = relaunch(node, row, MOMENT, ledger)
    assert found.ledger is not None
    assert (found.launch, found.sends, set(found.ledger.run.reserved)) == (True, (), {launch_key("n", 0, 1, 0)})
    assert found.row is not None
    assert found.row.launch == 0
    again = relaunch(node, row, MOMENT, found.ledger)
    assert (again.launch, again.ledger, again.row) == (True, None, found.row)


def retry(seq: int, due_at: int) -> RetryScheduled:
    return RetryScheduled(RUN, "n", 0, seq, due_at, TRACE)


def test_a_failed_attempt_is_tried_again_after_its_wait() -> None:
    assert decide(NODE, RUNNING, attempt_failed(), MOMENT) == Transition(
        row=replace(WAITING), sends=(send("wf.retry", retry(1, NOW + 1000), "n", 0, 1, TRACE),)
    )


def test_the_wait_doubles_and_has_jitter() -> None:
    row = replace(RUNNING, seq=2, attempt=2, spent=SPENT)
    found = decide(NODE, row, attempt_failed(seq=2, attempt=2), Moment(NOW, 0.5, "me"))
    assert found.sends == (send("wf.retry", retry(2, NOW + 2000 + 250), "n", 0, 2, TRACE),)
    assert isinstance(found.row, NodeRow)
    assert found.row.spent == SPENT + SPENT


def test_retry_after_wins_if_longer() -> None:
    for asked, wait in ((5_000, 5_000), (10, 1_000)):
        error = ErrorInfo("rate_limited", "slow down", True, retry_after_ms=asked)
        found = decide(NODE, RUNNING, attempt_failed(error=error), MOMENT)
        assert found.sends == (send("wf.retry", retry(1, NOW + wait), "n", 0, 1, TRACE),)


def test_the_next_attempt_is_launched_when_due() -> None:
    later = Moment(NOW + 1000, 0.0, "another")
    running = replace(
        WAITING, status="running", seq=2, attempt=2, incarnation="another", launched_at=NOW + 1000, started_at=NOW
    )
    assert decide(NODE, WAITING, due(), later) == Transition(row=running, launch=True)


def test_seq_and_attempt_count_apart() -> None:
    """What defers or falls back takes a `seq` and no attempt."""
    found = decide(NODE, replace(WAITING, seq=7, attempt=2), due(seq=7), MOMENT).row
    assert isinstance(found, NodeRow)
    assert (found.seq, found.attempt) == (8, 3)


def test_an_attempt_is_due_only_at_the_row_s_seq_and_while_it_waits() -> None:
    assert decide(NODE, WAITING, due(seq=0), MOMENT) == NOTHING
    assert decide(NODE, WAITING, due(seq=2), MOMENT) == NOTHING
    assert decide(NODE, RUNNING, due(), MOMENT) == NOTHING
    assert decide(NODE, CLOSING, due(), MOMENT) == NOTHING
    assert decide(NODE, None, due(), MOMENT) == NOTHING


def test_a_repeated_failure_is_answered_once() -> None:
    for row in (None, WAITING, CLOSING, replace(RUNNING, seq=2, attempt=2)):
        assert decide(NODE, row, attempt_failed(), MOMENT) == NOTHING


@pytest.mark.parametrize(("retries", "attempt", "error"), [(2, 3, ERROR), (2, 1, FATAL), (0, 1, ERROR)])
def test_a_node_that_will_not_be_tried_again_writes_its_own_end(retries: int, attempt: int, error: ErrorInfo) -> None:
    """Nothing more yet: no dead letter before it is read back as the first terminal record."""
    node = root(retry=RetryPolicy(retries, 1000))
    row = replace(RUNNING, seq=attempt, attempt=attempt)
    end = Failed(RUN, "n", 0, attempt, attempt, error, NOW)
    assert decide(node, row, attempt_failed(seq=attempt, attempt=attempt, error=error), MOMENT) == Transition(
        row=replace(row, status="waiting", closing=True, incarnation=None, last_error=error, spent=SPENT),
        sends=(send("wf.n", end, "n", 0, attempt, TRACE),),
    )


def test_its_own_failed_read_back_takes_effect_with_its_dead_letter() -> None:
    record = failed()
    ended = replace(CLOSING, status="failed", closing=False, finished_at=record.finished_at)
    expected = Transition(row=ended, sends=(node_dead_letter(NODE, ended, record),))
    assert decide(NODE, CLOSING, record, MOMENT) == expected


def test_a_success_ahead_of_its_own_failed_wins() -> None:
    """A zombie's result was in the journal first: the node succeeded for every reader, and there is no dead letter."""
    late = succeeded(seq=1, attempt=1)
    found = decide(NODE, CLOSING, late, MOMENT)
    row = replace(
        CLOSING,
        status="success",
        closing=False,
        finished_at=late.finished_at,
        output=late.output,
        model="m",
        spent=SPENT + SPENT,
    )
    assert found == Transition(row=row)
    assert decide(NODE, row, failed(), MOMENT) == NOTHING


STATUSES: dict[type, NodeStatus] = dict(zip(TERMINAL, ("success", "failed", "skipped", "cancelled"), strict=True))


@pytest.mark.parametrize("state", NON_TERMINAL)
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_terminal_record_applies_in_any_status(state: str, record: Terminal) -> None:
    """To an absent row too, and whatever its seq."""
    row = NON_TERMINAL[state]
    before = row or NodeRow(RUN)
    found = decide(NODE, row, record, MOMENT)
    expected = replace(
        before,
        status=STATUSES[type(record)],
        closing=False,
        incarnation=None,
        finished_at=record.finished_at,
        seq=max(before.seq, record.seq),
    )
    match record:
        case Succeeded():
            expected = replace(expected, output=record.output, attempt=2, model="m", spent=before.spent + record.spent)
        case Failed():
            # The dead letter waits until all that the node saw is known.
            waits = row is None or not row.started
            expected = replace(expected, last_error=record.error, attempt=record.attempt, closing=waits)
            assert bool(found.sends) is not waits
        case _:
            pass
    assert found.row == expected
    assert found.launch is False
    assert found.abort is (state == "running"), "what is in flight is of no use any more"


@pytest.mark.parametrize("first", RECORDS, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("second", RECORDS, ids=lambda record: type(record).__name__)
def test_the_first_terminal_record_wins(first: Terminal, second: Terminal) -> None:
    row = decide(NODE, RUNNING, first, MOMENT).row
    assert isinstance(row, NodeRow)
    assert decide(NODE, row, second, MOMENT) == NOTHING
    assert decide(NODE, row, attempt_failed(), MOMENT) == NOTHING
    assert decide(NODE, row, due(), MOMENT) == NOTHING


def test_a_result_of_the_attempt_in_flight_aborts_nothing() -> None:
    """It is the flight itself that ended."""
    assert decide(NODE, RUNNING, succeeded(), MOMENT).abort is False


def test_an_end_that_was_read_first_is_kept_when_the_run_starts() -> None:
    for record in RECORDS:
        row = decide(NODE, None, record, MOMENT).row
        assert isinstance(row, NodeRow)
        found = decide(NODE, row, started(), MOMENT)
        gathered = {"input": Gathered("success", Json('{"n":1}'))}
        assert found.row == replace(
            row, started=True, traceparent=TRACE, gathered=gathered, closing=False, plan_hash="hash"
        )
        assert [send.topic for send in found.sends] == (["wf.dead-letter"] if isinstance(record, Failed) else [])
        assert found.launch is False


def test_a_price_that_is_not_known_makes_the_sum_unknown() -> None:
    row = replace(RUNNING, spent=Spent(1, 1, None))
    found = decide(NODE, row, succeeded(), MOMENT).row
    assert isinstance(found, NodeRow)
    assert found.spent == Spent(4, 6, None)
