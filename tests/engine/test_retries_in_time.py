"""Retries on the clock: held as timers, one row each, never before they are due."""

from __future__ import annotations

import pytest

from schemas.records import NodeRow
from streams.core.outcome import Failed, NodeError
from streams.testing import TopologyTestDriver, answers
from tests.engine.scripts import flaky, nodes_of
from tests.plans import CHAIN, plan_of
from topology.plan import RetryPolicy

PLAN = plan_of({"a": ()}, nodes={"a": {"retry": RetryPolicy(3, 1000)}})


def started(*outcomes: object, jitter: float = 0.0) -> TopologyTestDriver:
    driver = TopologyTestDriver(PLAN, {"a": answers(*outcomes)}, jitter=jitter)  # type: ignore[arg-type]
    driver.pipe("input", {}, key="r1")
    return driver


def made(driver: TopologyTestDriver) -> int:
    return len(driver.executions)


def test_each_wait_is_twice_the_one_before() -> None:
    with started(flaky(9)) as driver:
        for wait, attempts in ((999, 1), (1, 2), (1999, 2), (1, 3), (3999, 3), (1, 4)):
            driver.advance(ms=wait)
            assert made(driver) == attempts
        assert driver.read("output")[0].json["nodes"]["a"]["attempts"] == 4
        driver.advance(minutes=60)
        assert made(driver) == 4


def test_jitter_makes_a_wait_longer_by_up_to_a_quarter() -> None:
    with started(flaky(1), jitter=0.999) as driver:
        driver.advance(ms=1248)
        assert made(driver) == 1
        driver.advance(ms=1)
        assert made(driver) == 2


@pytest.mark.parametrize(("asked", "wait"), [(10, 1000), (7000, 7000)])
def test_retry_after(asked: int, wait: int) -> None:
    with started(Failed(NodeError("rate_limited", "slow", True, asked)), {}) as driver:
        driver.advance(ms=wait - 1)
        assert made(driver) == 1
        driver.advance(ms=1)
        assert made(driver) == 2
        assert driver.read("output")[0].json["status"] == "success"


def test_not_retryable_fails_at_once() -> None:
    with started(Failed(NodeError("provider_refused", "401", retryable=False))) as driver:
        assert driver.read("output")[0].json["nodes"]["a"]["attempts"] == 1
        assert driver.read("retry") == []


def test_the_next_attempt_knows_the_previous_error() -> None:
    with started(Failed(NodeError("schema", "no label")), {}) as driver:
        driver.advance(seconds=2)
        first, second = driver.executions
        assert first.previous_error is None
        assert second.previous_error == NodeError("schema", "no label")
        assert (first.seq, second.seq, second.attempt) == (1, 2, 2)


def test_a_wait_survives_deaths() -> None:
    with started(flaky(1)) as driver:
        for _ in range(3):
            driver.crash()
        driver.advance(ms=999)
        driver.crash()
        assert made(driver) == 1
        driver.advance(ms=1)
        assert made(driver) == 2


def test_a_wait_that_ended_while_nobody_lived_is_over_at_once() -> None:
    with started(flaky(1)) as driver:
        driver.now += 5000
        driver.crash()
        assert made(driver) == 2


def test_waits_of_many_runs_are_kept_apart() -> None:
    plan = plan_of(CHAIN)
    with TopologyTestDriver(plan, nodes_of(plan, {"b": flaky(1)})) as driver:
        for n in range(10):
            driver.pipe("input", {}, key=f"r{n}")
            driver.advance(ms=10)
        assert len(driver.table("timers")) == 10
        driver.advance(ms=949)
        assert len(driver.read("output")) == 5, "it is 1049 now: those that began at 0, 10, ... 40"
        driver.advance(seconds=1)
        assert len(driver.read("output")) == 5
        rows = [row for row in driver.table("b").values() if isinstance(row, NodeRow)]
        assert sorted(row.finished_at or 0 for row in rows) == [1000 + 10 * n for n in range(10)]
