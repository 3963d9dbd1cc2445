"""Work that is done once per key, in the test driver: who does it, who waits, what they get."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.records import AttemptFailed, LeaseRow, Succeeded
from streams.core.outcome import NodeInput, Outcome
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Step, Story, advance, broken, cancel, echo, flaky, play, start
from tests.engine.stories_of_kinds import keyed, routing
from tests.plans import cached, once


def played(node: Callable[[NodeInput], Outcome], fields: Mapping[str, Any], *steps: Step) -> TopologyTestDriver:
    driver = Story({"b": ()}, steps, {"b": node}, {"b": fields}).driver()
    play(driver, steps)
    return driver


def statuses(driver: TopologyTestDriver) -> dict[str, str]:
    return {read.json["run_id"]: read.json["status"] for read in driver.read("output")}


def test_the_second_run_gets_what_the_first_one_made() -> None:
    with played(echo, once("b"), keyed("r1"), keyed("r2", other=True)) as driver:
        assert [made.run_id for made in driver.executions] == ["r1"]
        results = {read.json["run_id"]: read.json for read in driver.read("output")}
        assert results["r1"]["outputs"] == results["r2"]["outputs"]
        assert results["r2"]["nodes"]["b"]["attempts"] == 0
        assert results["r2"]["usage"]["total_tokens"] == 0


def test_the_handler_is_told_the_key() -> None:
    with played(echo, once("b"), keyed("r1")) as driver:
        assert [made.idempotency_key for made in driver.executions] == ["k"]


def test_other_keys_are_other_work() -> None:
    with played(echo, once("b"), keyed("r1"), start("r2", {"key": "other"})) as driver:
        assert sorted(made.run_id for made in driver.executions) == ["r1", "r2"]


def test_who_asks_while_it_is_done_waits() -> None:
    with played(flaky(1), once("b"), keyed("r1"), keyed("r2")) as driver:
        assert statuses(driver) == {}
        assert driver.table("b")["r2"].status == "waiting"  # type: ignore[union-attr]
        driver.advance(minutes=1)
        assert statuses(driver) == {"r1": "success", "r2": "success"}
        assert [made.run_id for made in driver.executions] == ["r1", "r1"]


def test_a_failure_is_everybodys_who_waits_and_the_next_one_tries_again() -> None:
    failing = {"on": True}

    def node(node_input: NodeInput) -> Outcome:
        return broken(node_input) if failing["on"] else echo(node_input)

    with played(flaky(9), once("b"), keyed("r1"), keyed("r2"), advance(1)) as driver:
        assert statuses(driver) == {"r1": "failed", "r2": "failed"}
        assert {made.run_id for made in driver.executions} == {"r1"}
    with played(node, once("b"), keyed("r1")) as driver:
        failing["on"] = False
        play(driver, [keyed("r2")])
        assert statuses(driver) == {"r1": "failed", "r2": "success"}


def test_after_a_cancel_the_next_one_does_it() -> None:
    with played(flaky(1), once("b"), keyed("r1"), keyed("r2"), cancel("r1")) as driver:
        assert [made.run_id for made in driver.executions] == ["r1", "r2"]
        driver.advance(minutes=1)
        assert statuses(driver) == {"r1": "cancelled", "r2": "success"}


def test_one_that_is_cancelled_while_it_waits_is_passed_over() -> None:
    steps = (keyed("r1"), keyed("r2"), keyed("r3"), cancel("r2"), cancel("r1"), advance(1))
    with played(flaky(1), once("b"), *steps) as driver:
        assert {made.run_id for made in driver.executions} == {"r1", "r3"}
        assert statuses(driver) == {"r1": "cancelled", "r2": "cancelled", "r3": "success"}


def test_a_router_asks_its_model_once_until_the_answer_is_too_old() -> None:
    with played(routing, cached("b", ttl_ms=30_000), start("r1"), start("r2"), start("r3", {"n": 2})) as driver:
        assert [made.run_id for made in driver.executions] == ["r1", "r3"]  # the prompt of r3 is another one
        outputs = {read.json["run_id"]: read.json["outputs"]["b"] for read in driver.read("output")}
        assert outputs["r1"] == {"route": "other", "confidence": 0.9, "by": "model"}
        assert outputs["r2"] == {"route": "other", "confidence": 0.9, "by": "cache"}
        driver.advance(minutes=1)
        assert not any(isinstance(row, LeaseRow) for row in driver.table("b.leases").values())
        play(driver, [start("r4")])
        assert [made.run_id for made in driver.executions] == ["r1", "r3", "r4"]


def test_a_rule_asks_nobody() -> None:
    with played(routing, cached("b", ttl_ms=30_000), start("r1", {"n": 9})) as driver:
        assert driver.executions == []
        assert driver.read("routes") == []
        assert [type(read.record) for read in driver.read("b")] == [Succeeded]


def test_a_thousand_at_once_make_one_call() -> None:
    with played(routing, cached("b", ttl_ms=30_000)) as driver:
        for number in range(1_000):
            start(f"r{number}").write(driver)
        driver._settle()
        assert len(driver.executions) == 1
        assert len(driver.read("output")) == 1_000
        assert not [read for read in driver.read("b") if isinstance(read.record, AttemptFailed)]
