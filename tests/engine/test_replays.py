"""Replays: runs again, in an epoch of their own; a model that would be asked the very same is not asked."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.codec import decode
from schemas.records import NodeRecord, Refused, Succeeded
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Step, broken, copied, nodes_of, play, replay, start
from tests.engine.stories_of_kinds import answering
from tests.plans import CHAIN, llm, plan_of

PLAN = plan_of(CHAIN, nodes={"b": llm()})


def played(*steps: Step, plan: Any = PLAN, **special: Any) -> TopologyTestDriver:
    driver = TopologyTestDriver(plan, nodes_of(plan, {"b": answering, **special}))
    play(driver, steps)
    return driver


def calls(driver: TopologyTestDriver) -> dict[str, int]:
    return dict(Counter(made.node for made in driver.executions))


def journal(driver: TopologyTestDriver, topic: str) -> list[NodeRecord]:
    return [decode(read.value or b"") for read in driver.read(topic)]  # type: ignore[misc]


def test_everything_runs_again_in_a_new_epoch() -> None:
    with played(start(), replay()) as driver:
        first, second = driver.read("output")
        assert calls(driver) == {"a": 2, "b": 2, "c": 2}
        assert (first.json["epoch"], second.json["epoch"] > 0) == (0, True)
        assert not any(node["reused"] for node in second.json["nodes"].values())
        assert second.json["usage"]["total_tokens"] == 2 * first.json["usage"]["total_tokens"], "of all epochs"


def test_from_a_node_on_the_outputs_above_it_stand() -> None:
    with played(start(), replay(node="b")) as driver:
        assert calls(driver) == {"a": 1, "b": 2, "c": 2}
        reused = {name: node["reused"] for name, node in driver.read("output")[1].json["nodes"].items()}
        assert reused == {"a": True, "b": False, "c": False}


def test_a_model_that_would_be_asked_the_same_is_not_asked() -> None:
    with played(start(), replay(reuse=True), replay(reuse=True)) as driver:
        assert calls(driver) == {"a": 3, "b": 1, "c": 3}
        ends = [record for record in journal(driver, "b") if isinstance(record, Succeeded)]
        assert [(end.reused, end.spent.prompt_tokens + end.spent.completion_tokens, end.output) for end in ends] == [
            (False, 8, '{"n":1}'),
            (True, 0, '{"n":1}'),
            (True, 0, '{"n":1}'),
        ]
        assert [read.json["nodes"]["b"]["reused"] for read in driver.read("output")] == [False, True, True]


def test_another_prompt_asks_again_and_nothing_else_does() -> None:
    after = plan_of(CHAIN, nodes={"b": llm(prompt="Tell {{ input.n }}"), "c": llm()}, plan_hash="after")
    with played(start(), plan=plan_of(CHAIN, nodes={"b": llm(), "c": llm()}), c=answering) as driver:
        driver.deploy(after)
        play(driver, [replay(reuse=True)])
        assert calls(driver) == {"a": 2, "b": 2, "c": 1}


def test_a_failure_is_no_answer() -> None:
    with played(start(), replay(reuse=True), b=broken) as driver:
        assert calls(driver)["b"] == 2


def test_of_two_that_mean_the_same_epoch_the_second_is_refused() -> None:
    with played(start(), replay(epoch=0), replay(epoch=0)) as driver:
        assert len(driver.read("output")) == 2
        (refused,) = [record for record in journal(driver, "run") if isinstance(record, Refused)]
        assert (refused.command, refused.reason.split(":")[0]) == ("replay", "the run has gone on")


def test_a_run_that_is_not_there_is_refused() -> None:
    with played(replay("nobody")) as driver:
        (refused,) = [record for record in journal(driver, "run") if isinstance(record, Refused)]
        assert refused.reason == "there is no such run"


def test_a_replay_that_says_nothing_usable_is_a_dead_letter() -> None:
    with played(start(), replay(reuse="yes"), replay(node="nope"), replay(epoch=-1)) as driver:
        assert [read.header("penstock.error.kind") for read in driver.read("dead-letter")] == ["control"] * 3
        assert len(driver.read("output")) == 1


def test_one_by_plain_json_needs_nothing_but_the_run() -> None:
    with played(start()) as driver:
        driver.pipe("control", {"type": "replay", "run_id": "r1"}, key="r1")
        assert [read.json["epoch"] > 0 for read in driver.read("output")] == [False, True]


def test_a_fork_takes_over_what_was_copied_and_runs_the_rest() -> None:
    with played(copied("a"), copied("b"), start(reused="a,b")) as driver:
        assert calls(driver) == {"c": 1}
        (result,) = driver.read("output")
        assert {name: node["reused"] for name, node in result.json["nodes"].items()} == {
            "a": True,
            "b": True,
            "c": False,
        }
        assert result.json["outputs"]["c"]["saw"]["b"] == {"n": 7}


def test_a_fork_of_a_node_there_is_not_is_a_dead_letter() -> None:
    with played(start(reused="a,nope")) as driver:
        (letter,) = driver.read("dead-letter")
        assert (letter.header("penstock.error.kind"), driver.executions) == ("reused", [])
