"""Versions: a run keeps the behaviour it began with, a new epoch begins with the current one, whatever crashes in between."""

from __future__ import annotations

import pytest

from schemas.codec import decode
from schemas.records import NodeRow, RunRow
from streams.core.outcome import Done, NodeError, NodeInput, Outcome
from streams.core.outcome import Failed as Fails
from streams.core.prices import Price
from streams.testing import TopologyTestDriver
from tests.engine.scripts import advance, fixed_by_an_edit, nodes_of, play, redrive, replay, start
from tests.plans import CHAIN, for_each, llm, plan_of
from topology.plan import Budget, RetryPolicy

OLD = plan_of(CHAIN, nodes={"b": llm("old")}, plan_hash="old", version="1")
NEW = plan_of(
    CHAIN,
    nodes={"b": {**llm("new"), "retry": RetryPolicy(0, 1000)}, "c": {"when": "input.n != 1"}},
    plan_hash="new",
    version="2",
)


def says_its_model(node_input: NodeInput) -> Outcome:
    """Fail the first attempt; say which model was to be asked."""
    if node_input.attempt == 1 and node_input.epoch == 0 and node_input.inputs["input"].get("slow"):
        return Fails(NodeError("timeout", "slow"))
    return Done({"model": node_input.model})


def models(driver: TopologyTestDriver) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for made in driver.executions:
        if made.node == "b":
            found.setdefault(made.run_id, []).append(made.model)
    return found


def driver_of(plan: object = OLD) -> TopologyTestDriver:
    return TopologyTestDriver(plan, nodes_of(plan, {"b": says_its_model}))  # type: ignore[arg-type]


@pytest.mark.parametrize("crash", [False, True])
def test_a_run_in_flight_keeps_its_version_and_a_new_one_has_the_new(crash: bool) -> None:
    with driver_of() as driver:
        play(driver, [start("r1", {"n": 1, "slow": True})])
        driver.deploy(NEW)
        if crash:
            driver.crash()
        play(driver, [start("r2", {"n": 1}), advance(5)])
        assert models(driver) == {"r1": ["old", "old"], "r2": ["new"]}
        results = {read.key: read.json for read in driver.read("output")}
        assert {key: result["workflow_version"] for key, result in results.items()} == {"r1": "1", "r2": "2"}
        assert results["r1"]["nodes"]["c"]["status"] == "success", "its version has no condition"
        assert results["r2"]["nodes"]["c"]["status"] == "skipped"


def test_how_often_it_is_tried_is_the_version_s() -> None:
    with driver_of(NEW) as driver:
        driver.deploy(OLD)  # rolled back: the last one deployed is current
        play(driver, [start("r1", {"n": 2, "slow": True}), advance(5)])
        driver.deploy(NEW)
        play(driver, [start("r2", {"n": 2, "slow": True}), advance(5)])
        assert models(driver) == {"r1": ["old", "old"], "r2": ["new"]}
        ends = {read.key: read.json["status"] for read in driver.read("output")}
        assert ends == {"r1": "success", "r2": "failed"}


def test_a_redrive_and_a_replay_take_the_current_version() -> None:
    with TopologyTestDriver(OLD, nodes_of(OLD, {"b": says_its_model, "c": fixed_by_an_edit})) as driver:
        play(driver, [start("r1", {"n": 1})])
        driver.deploy(NEW)
        play(driver, [redrive("c", edit={"input": {"ok": True}})])
        assert models(driver) == {"r1": ["old"]}, "what succeeded is not run again"
        play(driver, [replay()])
        assert models(driver) == {"r1": ["old", "new"]}
        ends = [read.json for read in driver.read("output")]
        assert [end["workflow_version"] for end in ends] == ["1", "2", "2"]
        rows = driver.table("b")["r1"], driver.table("run")["r1"]
        assert [row.plan_hash for row in rows if isinstance(row, NodeRow | RunRow)] == ["new", "new"]


def test_items_run_with_their_node_s_version() -> None:
    def plan(model: str) -> object:
        nodes = {"b": {**llm(model), **for_each("b")}}
        return plan_of({"b": ()}, nodes=nodes, plan_hash=model)

    def slow_at_first(node_input: NodeInput) -> Outcome:
        return Fails(NodeError("timeout", "slow")) if node_input.attempt == 1 else Done({"model": node_input.model})

    old = plan("old")
    with TopologyTestDriver(old, nodes_of(old, {"b": slow_at_first})) as driver:  # type: ignore[arg-type]
        play(driver, [start("r1", {"list": [1, 2]})])
        driver.deploy(plan("new"))  # type: ignore[arg-type]
        play(driver, [advance(5), start("r2", {"list": [1]}), advance(5)])
        made = [(each.run_id, each.model) for each in driver.executions]
        assert made == [("r1", "old")] * 4 + [("r2", "new")] * 2


def test_a_run_keeps_its_version_s_budget() -> None:
    def plan(tokens: int) -> object:
        return plan_of(CHAIN, nodes={"b": llm()}, budget=Budget(tokens, None), plan_hash=f"of {tokens}")

    wide, narrow = plan(10_000), plan(1)
    prices = {"m1": Price(1.0, 1.0)}
    with TopologyTestDriver(wide, nodes_of(wide, {"b": says_its_model}), prices=prices) as driver:  # type: ignore[arg-type]
        play(driver, [start("r1", {"n": 1, "slow": True})])
        driver.deploy(narrow)  # type: ignore[arg-type]
        play(driver, [start("r2", {"n": 1}), advance(5)])
        found = {read.key: read.json["nodes"]["b"]["error"] for read in driver.read("output")}
        assert found["r1"] is None
        assert found["r2"]["kind"] == "budget"


def test_a_version_recorded_nowhere_is_stood_in_for_by_the_current_one() -> None:
    with driver_of() as driver:
        play(driver, [start("r1", {"n": 1, "slow": True})])
        driver._versions._plans.pop("old")
        driver._versions._compiled.pop("old")
        driver.deploy(NEW)
        play(driver, [advance(5)])
        assert models(driver) == {"r1": ["old", "new"]}
        assert decode(driver.read("run")[0].value or b"").plan_hash == "old"  # type: ignore[union-attr]
