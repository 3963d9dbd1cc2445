"""What is too large ends in the dead letter; nothing is ever so large that it cannot be written, for that would stop every worker."""

from __future__ import annotations

from streams.core.limits import MAX_ROW_BYTES
from streams.core.outcome import Done, NodeInput
from streams.engine.config import MAX_RECORD_BYTES
from streams.testing import TopologyTestDriver, answers
from tests.plans import plan_of

MEGABYTE = "é" * 499_000
FAN = {**{f"n{i}": () for i in range(10)}, "last": tuple(f"n{i}" for i in range(10))}


def large(node_input: NodeInput) -> Done:
    return Done({"text": MEGABYTE})


def largest_record(driver: TopologyTestDriver) -> int:
    return max(
        len(r.value or b"") for partitions in driver.log.topics.values() for log in partitions.values() for r in log
    )


def test_inputs_that_are_too_large_together_fail_their_node() -> None:
    plan = plan_of(FAN)
    with TopologyTestDriver(plan, dict.fromkeys(FAN, answers(large)) | {"last": answers({})}) as driver:
        driver.pipe("input", {"n": 1}, key="r")
        result = driver.read("output")[0].json
        dead = driver.read("dead-letter")
        assert (result["status"], result["nodes"]["last"]["error"]["kind"]) == ("failed", "too_large")
        assert [letter.header("penstock.error.kind") for letter in dead] == ["too_large"]
        assert largest_record(driver) < MAX_RECORD_BYTES


def test_outputs_that_are_too_large_for_one_result_stay_in_their_journals() -> None:
    plan = plan_of({f"n{i}": () for i in range(20)})
    with TopologyTestDriver(plan, dict.fromkeys((n.id for n in plan.nodes), answers(large))) as driver:
        driver.pipe("input", {"n": 1}, key="r")
        result = driver.read("output")[0].json
        assert result["status"] == "success"
        assert len(result["outputs"]) == 8
        left_out = [node for node, seen in result["nodes"].items() if seen["error"]]
        assert {result["nodes"][node]["error"]["kind"] for node in left_out} == {"too_large"}
        assert set(left_out) | set(result["outputs"]) == set(result["nodes"])
        assert largest_record(driver) < MAX_RECORD_BYTES


def test_an_input_that_is_too_large_goes_to_the_dead_letter_unchanged() -> None:
    plan = plan_of({"a": ()})
    with TopologyTestDriver(plan, {"a": answers({})}) as driver:
        value = b'"' + b"x" * MAX_ROW_BYTES + b'"'
        driver.pipe("input", value, key="r")
        driver.pipe("input", {"n": 1}, key="next")
        dead = driver.read("dead-letter")
        assert [(letter.header("penstock.error.kind"), letter.value == value) for letter in dead] == [
            ("too_large", True)
        ]
        assert [read.key for read in driver.read("output")] == ["next"]


def test_a_key_that_is_too_long_fails_its_node() -> None:
    plan = plan_of({"a": ()}, nodes={"a": {"idempotency_key": "${input.k}"}})
    with TopologyTestDriver(plan, {"a": answers({})}) as driver:
        driver.pipe("input", {"k": "x" * 1001}, key="r")
        assert driver.read("output")[0].json["nodes"]["a"]["error"]["kind"] == "expression"
