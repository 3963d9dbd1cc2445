"""Which workflows live on the records that Kafka takes by default, and how large their values may be."""

from __future__ import annotations

import pytest

from streams.core.outcome import Done, NodeInput
from streams.testing import TopologyTestDriver, answers
from tests.plans import plan_of, review
from topology.limits import KAFKA_DEFAULT, LARGE, for_each_of, limits_of
from topology.plan import ClaimCheck, WorkflowPlan
from topology.sizes import Override, Sizes, refusals, wanted

SIX = {name: ("abcdef"[i - 1],) if i else () for i, name in enumerate("abcdef")}
FAN = {**{f"n{i}": () for i in range(10)}, "last": tuple(f"n{i}" for i in range(10))}


def checked(dag: dict[str, tuple[str, ...]], above: int, **nodes: dict[str, object]) -> WorkflowPlan:
    return plan_of(dag, nodes=nodes, claim_check=ClaimCheck("file:///claims", above))


@pytest.mark.parametrize(
    ("plan", "on_default"),
    [
        (plan_of(SIX), False),
        (checked(SIX, 100_000), True),
        (checked(SIX, 101_000), False),
        (checked({"a": ()}, 262_144), True),
        (checked(FAN, 61_000), True),
        (checked(FAN, 62_000), False),
        (checked({f"n{i}": () for i in range(39)}, 1_024), False),
        (checked({"a": (), "b": (), "gate": ("a", "b"), "c": ("gate",)}, 100_000), True),
        (checked({"a": (), "b": (), "gate": ("a", "b"), "c": ("gate",)}, 100_000, gate=review()), False),
    ],
)
def test_what_lives_on_the_default(plan: WorkflowPlan, on_default: bool) -> None:
    assert limits_of(plan).on_default == on_default
    assert (limits_of(plan) == LARGE) != on_default
    largest = {int(topic.config["max.message.bytes"]) for topic in wanted(plan, Sizes())}
    assert (max(largest) <= KAFKA_DEFAULT) == on_default


def test_a_limit_that_one_workflow_lives_on_is_refused_for_another() -> None:
    narrow = Sizes(overrides={"journal": Override(config={"max.message.bytes": str(KAFKA_DEFAULT)})})
    assert refusals(checked(SIX, 100_000), narrow) == []
    (line,) = refusals(plan_of(SIX), narrow)
    assert "topics.journal.config.'max.message.bytes': records may have 16777216 bytes. Do: " in line
    assert "claim_check" in line


def test_all_that_is_as_large_as_it_may_be_fits() -> None:
    plan = checked(FAN, 50_000)
    limits = limits_of(plan)

    def large(node_input: NodeInput) -> Done:
        return Done({"text": "x" * (limits.output - 11)})

    with TopologyTestDriver(plan, dict.fromkeys(FAN, answers(large))) as driver:
        driver.pipe("input", {"text": "y" * (limits.input - 13)}, key="r")
        driver.pipe("input", {"text": "y" * limits.input}, key="more")
        (result,) = (read.json for read in driver.read("output"))
        assert (result["status"], list(result["outputs"])) == ("success", ["last"])
        assert [letter.header("penstock.error.kind") for letter in driver.read("dead-letter")] == ["too_large"]
        records = [r for topic in driver.log.topics.values() for log in topic.values() for r in log]
        assert max(len(record.value or b"") for record in records) < KAFKA_DEFAULT - 40_000


def test_what_items_give_stays_small_together() -> None:
    check = ClaimCheck("file:///claims", 100_000)
    assert for_each_of(check, 1).above_bytes <= check.above_bytes
    for items in (1, 3, 100):
        each = for_each_of(check, items).above_bytes
        assert items * (each + 1) + len('{"items":[]}') <= check.above_bytes
    assert for_each_of(check, 10_000).above_bytes == 512
