"""Which retention a promise needs, and which topics fall short of it."""

from __future__ import annotations

import pytest

from tests.plans import CHAIN, plan_of, review
from topology.describe import describe, description
from topology.promises import DAY_MS, duration, is_shorter, promises_of, shortfalls

PLAN = plan_of(CHAIN, "flow", nodes={"c": review()}, state_retention_ms=10 * DAY_MS)


def test_each_promise_names_its_topics() -> None:
    found = {promise.name: promise for promise in promises_of(PLAN)}
    assert found["replay, redrive, fork"].topics == ("flow.input", "flow.run", "flow.a", "flow.b", "flow.c")
    assert found["replay, redrive, fork"].needs_ms == 10 * DAY_MS
    assert (found["audit verify"].topics, found["audit verify"].needs_ms) == (("flow.c",), -1)
    assert found["runs show --at"].setting == "min.compaction.lag.ms"
    assert "audit verify" not in {promise.name for promise in promises_of(plan_of(CHAIN))}


def test_as_topics_are_created_every_promise_holds() -> None:
    created = {topic.name: {"retention.ms": topic.retention_ms} for topic in PLAN.topics}
    assert list(shortfalls(PLAN, created)) == []


def test_what_falls_short_is_named() -> None:
    kept = {"flow.input": {"retention.ms": DAY_MS}, "flow.c": {"retention.ms": 30 * DAY_MS}}
    assert {found.promise.name: found.kept_ms for found in shortfalls(PLAN, kept)} == {
        "replay, redrive, fork": {"flow.input": DAY_MS},
        "audit verify": {"flow.c": 30 * DAY_MS},
        "workers that were away go on": {"flow.input": DAY_MS},
    }


@pytest.mark.parametrize(
    ("kept", "needs", "short"),
    [(-1, -1, False), (-1, 5, False), (5, -1, True), (4, 5, True), (5, 5, False), (0, 1, True)],
)
def test_for_ever_is_longer_than_any_time(kept: int, needs: int, short: bool) -> None:
    assert is_shorter(kept, needs) is short


def test_times_are_read_by_people() -> None:
    assert [duration(ms) for ms in (-1, 0, 900, 60_000, 5_400_000, 3_600_000, DAY_MS, 7 * DAY_MS)] == [
        "for ever", "0 ms", "900 ms", "1 minute", "90 minutes", "1 hour", "1 day", "7 days",
    ]  # fmt: skip


def test_describe_shows_them() -> None:
    text = describe(PLAN)
    assert "promise" in text
    assert "replay, redrive, fork         10 days" in text
    told = description(PLAN)["promises"][0]
    assert (told["name"], told["needs_ms"], told["topics"][0]) == ("replay, redrive, fork", 10 * DAY_MS, "flow.input")
