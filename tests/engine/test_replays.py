"""Replays: runs again, in an epoch of their own; a model that would be asked the very same is not asked."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.codec import decode
from schemas.records import NodeRecord, Refused, Succeeded
from streams.core.outcome import Done, NodeInput, Outcome, Usage
from streams.core.prompt import Prompt
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Step, broken, copied, echo, nodes_of, play, replay, start
from tests.engine.stories_of_kinds import ITEMS_ASK, answering, answering_items, listed
from tests.plans import CHAIN, for_each, llm, plan_of

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


def test_a_prompt_that_comes_back_finds_its_answer_of_then() -> None:
    other = plan_of(CHAIN, nodes={"b": llm(prompt="Tell {{ input.n }}")}, plan_hash="other")
    with played(start(), b=asked_as({"Say 1": 1, "Tell 1": 2})) as driver:
        for plan, n in ((other, 2), (PLAN, 1), (other, 2)):
            driver.deploy(plan)
            play(driver, [replay(reuse=True)])
            assert driver.read("output")[-1].json["outputs"]["c"]["saw"]["b"] == {"n": n}
        assert calls(driver)["b"] == 2


def test_an_answer_outlives_an_epoch_in_which_the_node_did_not_run() -> None:
    with played(start(), a=broken_the_second_time()) as driver:
        play(driver, [replay(reuse=True), replay(reuse=True)])
        assert [read.json["status"] for read in driver.read("output")] == ["success", "failed", "success"]
        assert calls(driver)["b"] == 1


def test_items_take_their_answers_again_and_only_others_are_asked() -> None:
    plan = plan_of({"b": ()}, nodes={"b": ITEMS_ASK})
    with TopologyTestDriver(plan, nodes_of(plan, {"b": answering_items})) as driver:
        play(driver, [listed("x", "y"), replay(reuse=True)])
        first, second = (read.json for read in driver.read("output"))
        assert len(driver.executions) == 2
        assert second["outputs"] == first["outputs"] == {"b": {"items": [{"said": "x"}, {"said": "y"}]}}
        assert (second["nodes"]["b"]["reused"], second["nodes"]["b"]["usage"]) == (True, first["nodes"]["b"]["usage"])
        items = [r for r in journal(driver, "b") if isinstance(r, Succeeded) and r.node != "b" and r.epoch]
        assert [(r.node, r.reused, r.spent.prompt_tokens) for r in items] == [("b[0]", True, 0), ("b[1]", True, 0)]
        driver.deploy(
            plan_of({"b": ()}, nodes={"b": {**llm(prompt="Tell {{ item }}"), **for_each("b")}}, plan_hash="tell")
        )
        play(driver, [replay(reuse=True)])
        assert len(driver.executions) == 4
        assert not driver.read("output")[-1].json["nodes"]["b"]["reused"]


def asked_as(answers: dict[str, int]) -> Any:
    """Answer one prompt after the other, each call with the hash of its own."""
    prompts = [
        Prompt(plan_of(CHAIN, nodes={"b": llm(prompt=f"{text.split()[0]} {{{{ input.n }}}}")}).node("b"))
        for text in answers
    ]
    numbers = iter(zip(prompts, answers.values(), strict=True))

    def answer(node_input: NodeInput) -> Outcome:
        prompt, n = next(numbers)
        return Done(
            {"n": n},
            Usage(3, 5),
            0.0,
            "m1",
            request_hash=prompt.request_hash(prompt.messages(node_input.inputs, None)[0]),
        )

    return answer


def broken_the_second_time() -> Any:
    times = iter([echo, broken, echo])

    def answer(node_input: NodeInput) -> Outcome:
        return next(times)(node_input)

    return answer


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
