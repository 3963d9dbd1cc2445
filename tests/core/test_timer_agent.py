"""Timers: one row per (run, node, epoch, seq, kind), gone once its `AttemptDue` is written (PROTOCOL.md 13)."""

from schemas.records import AttemptDue, RetryScheduled, TimerRow
from streams.core.timer_agent import fire, schedule, timer_key
from streams.core.transition import NOTHING, Transition, send
from tests.core.examples import RUN, TRACE

SCHEDULED = RetryScheduled(RUN, "n", 0, 3, 70_000, TRACE)
ROW = TimerRow(RUN, "n", 0, 3, "retry", 70_000, TRACE)


def test_a_scheduled_retry_becomes_a_row() -> None:
    assert schedule(None, SCHEDULED) == Transition(row=ROW)


def test_a_repeat_does_not_move_it() -> None:
    assert schedule(ROW, RetryScheduled(RUN, "n", 0, 3, 90_000, TRACE)) == NOTHING


def test_what_is_due_goes_to_the_node_s_journal_and_its_row_goes() -> None:
    due = AttemptDue(RUN, "n", 0, 3, 70_000)
    assert fire(ROW, "wf.n") == Transition(delete=True, sends=(send("wf.n", due, "n", 0, 3, TRACE),))


def test_keys_differ_in_every_part() -> None:
    parts = [("r", "n", 0, 1, "retry"), ("s", "n", 0, 1, "retry"), ("r", "m", 0, 1, "retry")]
    parts += [("r", "n", 1, 1, "retry"), ("r", "n", 0, 2, "retry"), ("r", "n", 0, 1, "deadline")]
    assert len({timer_key(*part) for part in parts}) == len(parts)
