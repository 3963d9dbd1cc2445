"""`for_each` in the test driver: what items see, how their outputs are gathered, what their failures do."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.records import NodeRow
from streams.core.outcome import Done, NodeInput, Outcome, Usage
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Step, Story, advance, answer, cancel, echo, flaky, play
from tests.engine.stories_of_kinds import keyed_items, listed, picky
from tests.plans import external, for_each, once


def played(
    fields: Mapping[str, Any], *steps: Step, node: Callable[[NodeInput], Outcome] = picky, after: bool = False
) -> TopologyTestDriver:
    dag = {"b": (), **({"c": ("b",)} if after else {})}
    driver = Story(dag, steps, {"b": node}, {"b": fields}).driver()
    play(driver, steps)
    return driver


def result(driver: TopologyTestDriver) -> dict[str, Any]:
    (read,) = driver.read("output")
    found: dict[str, Any] = read.json
    return found


def test_an_item_sees_itself_its_place_and_what_the_node_sees() -> None:
    with played(for_each("b"), listed("x", {"deep": [1]}), node=echo) as driver:
        assert [made.inputs["item"] for made in driver.executions] == ["x", {"deep": [1]}]
        assert [made.inputs["index"] for made in driver.executions] == [0, 1]
        assert all(made.inputs["input"]["n"] == 1 for made in driver.executions)
        assert [made.node for made in driver.executions] == ["b[0]", "b[1]"]


def test_outputs_are_gathered_in_order_and_read_below() -> None:
    with played(for_each("b"), listed("x", "slow", "z"), advance(1), after=True) as driver:
        items = [{"index": 0, "item": "x"}, {"index": 1, "item": "slow"}, {"index": 2, "item": "z"}]
        assert result(driver)["outputs"]["c"]["saw"]["b"] == {"items": items}
        retried = [made.node for made in driver.executions if made.attempt == 2]
        assert retried == ["b[1]"]


def test_usage_and_attempts_are_those_of_all_items() -> None:
    with played(for_each("b"), listed("x", "slow"), advance(1)) as driver:
        node = result(driver)["nodes"]["b"]
        assert node["attempts"] == 3
        assert node["usage"]["total_tokens"] == 8 + 2 + 8


def test_no_items_are_no_work() -> None:
    with played(for_each("b"), listed()) as driver:
        assert result(driver)["outputs"] == {"b": {"items": []}}
        assert driver.executions == []


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        (for_each("b", most=2), "too_many_items", "for_each: input.list has 3 items, max_items is 2"),
        (for_each("b", "input.n"), "expression", "for_each: input.n is int, not a list"),
        (for_each("b", "input.nothing"), "expression", "nothing"),
    ],
)
def test_what_is_no_list_of_a_size_fails_before_any_work(fields: dict[str, Any], kind: str, message: str) -> None:
    with played(fields, listed(1, 2, 3)) as driver:
        error = result(driver)["nodes"]["b"]["error"]
        assert error["kind"] == kind
        assert message in error["message"]
        assert driver.executions == []


def test_the_first_failure_ends_the_node_and_says_which_item() -> None:
    with played(for_each("b"), listed("x", "bad", "slow"), advance(1)) as driver:
        found = result(driver)
        assert found["status"] == "failed"
        assert found["nodes"]["b"]["error"] == {"kind": "handler", "message": "item 1: never"}
        (letter,) = driver.read("dead-letter")
        assert letter.header("penstock.error.node") == "b"


def test_failed_items_are_dropped() -> None:
    with played(for_each("b", on_error="drop"), listed("bad", "x", "bad")) as driver:
        assert result(driver)["outputs"]["b"] == {"items": [{"index": 1, "item": "x"}]}
        assert driver.read("dead-letter") == []


def test_failed_items_are_kept_as_errors() -> None:
    with played(for_each("b", on_error="keep_error"), listed("bad", "x")) as driver:
        error = {"error": {"kind": "handler", "message": "never"}}
        assert result(driver)["outputs"]["b"] == {"items": [error, {"index": 1, "item": "x"}]}


def test_after_a_cancel_no_item_goes_on() -> None:
    with played(for_each("b"), listed("slow", "slow"), cancel(), advance(1)) as driver:
        assert result(driver)["status"] == "cancelled"
        assert [made.attempt for made in driver.executions] == [1, 1]


def test_an_item_does_not_hold_what_its_node_has_gathered() -> None:
    with played(for_each("b"), listed("x", "y")) as driver:
        rows = [row for row in driver.table("b.items").values() if isinstance(row, NodeRow)]
        assert len(rows) == 2
        assert all(not row.gathered for row in rows)


def test_a_crash_in_the_middle_repeats_only_what_was_in_flight() -> None:
    with played(for_each("b", most=200)) as driver:
        step = listed(*range(200))
        step.write(driver)
        for _ in range(3):
            driver._crash_at = "executed"
            driver._settle()
        driver._settle()
        made = [node_input.node for node_input in driver.executions]
        assert len(set(made)) == 200
        assert len(made) - 200 <= 3
        items = result(driver)["outputs"]["b"]["items"]
        assert [item["index"] for item in items] == list(range(200))


def test_thousands_of_items_are_no_square() -> None:
    """A look at every item at every end would take minutes."""

    def quick(node_input: NodeInput) -> Outcome:
        return Done({"i": node_input.inputs["index"]}, Usage())

    with played(for_each("b", most=10_000), node=quick) as driver:
        listed(*range(3_000)).write(driver)
        driver._settle()
        assert len(result(driver)["outputs"]["b"]["items"]) == 3_000


def test_items_that_fail_are_retried_by_themselves() -> None:
    with played(for_each("b"), listed("x", "y"), advance(1), node=flaky(1)) as driver:
        assert [made.attempt for made in driver.executions] == [1, 1, 2, 2]
        assert result(driver)["status"] == "success"


def test_items_of_an_external_node_are_asked_for_and_answered_one_by_one() -> None:
    fields = {**external("b"), **for_each("b")}
    with played(fields, listed("x", "y")) as driver:
        asked = [request.json for request in driver.read("requests")]
        assert [(a["node"], a["inputs"]["item"], a["inputs"]["index"]) for a in asked] == [
            ("b[0]", "x", 0),
            ("b[1]", "y", 1),
        ]
        play(driver, [answer("b[1]", output={"n": 2}), answer("b[0]", output={"n": 1}), answer("b[7]"), answer("b")])
        assert result(driver)["outputs"]["b"] == {"items": [{"n": 1}, {"n": 2}]}


# ---- items whose work is done once per key --------------------------------------------------------------------------


def made(driver: TopologyTestDriver) -> list[tuple[str, str, str | None]]:
    return [(each.run_id, each.node, each.idempotency_key) for each in driver.executions]


def outputs(driver: TopologyTestDriver) -> dict[str, Any]:
    return {read.json["run_id"]: read.json["outputs"].get("b") for read in driver.read("output")}


def test_equal_items_are_worked_on_once_in_a_run_and_over_runs() -> None:
    again = listed("y", "x", run_id="r2")
    with played(keyed_items(), listed("x", "y", "x"), again) as driver:
        assert made(driver) == [("r1", "b[0]", "x"), ("r1", "b[1]", "y")]
        found = outputs(driver)
        assert [each["item"] for each in found["r1"]["items"]] == ["x", "y", "x"]
        assert [each["item"] for each in found["r2"]["items"]] == ["y", "x"]


def test_an_item_s_key_may_hold_its_place_and_the_input() -> None:
    with played(keyed_items("${input.n}-${index}-${item.id}"), listed({"id": 7}, {"id": 7})) as driver:
        assert [key for *_, key in made(driver)] == ["1-0-7", "1-1-7"]


def test_an_item_whose_key_cannot_be_made_fails_alone() -> None:
    fields = {**for_each("b", on_error="keep_error"), **once("b", "${item.id}")}
    with played(fields, listed({"id": "x"}, {"no": 1}), node=echo) as driver:
        first, second = outputs(driver)["r1"]["items"]
        assert first["saw"]["item"] == {"id": "x"}
        assert second["error"]["kind"] == "expression"


@pytest.mark.parametrize("end", [cancel("r1"), None], ids=["cancelled", "another item fails"])
def test_what_an_ended_node_s_items_hold_goes_to_the_next_one(end: Step | None) -> None:
    items = ("slow",) if end else ("slow", "bad")
    steps = [listed(*items), listed("slow", run_id="r2"), *([end] if end else []), advance(1)]
    with played(keyed_items(), *steps) as driver:
        assert outputs(driver)["r2"]["items"] == [{"index": 0, "item": "slow"}]
        assert [run_id for run_id, _, key in made(driver) if key == "slow"] == ["r1", "r2", "r2"]
