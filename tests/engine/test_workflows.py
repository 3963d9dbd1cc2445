"""Whole workflows in memory: what a user sees of a run, from its input to its result (DESIGN.md 5 and 6a)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from schemas.records import NodeRow, RunRow
from streams.core.outcome import Done, NodeInput, Outcome
from streams.testing import TopologyTestDriver
from tests.engine.audit import audit
from tests.engine.scripts import broken, flaky, nodes_of, result_id
from tests.plans import CHAIN, DIAMOND, plan_of

Special = Mapping[str, Callable[[NodeInput], Outcome]]


def ran(
    dag: Mapping[str, Sequence[str]],
    special: Special | None = None,
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> tuple[dict[str, Any], TopologyTestDriver]:
    """Return the result of one run and the driver, its clock well past every retry."""
    plan = plan_of(dag, nodes=nodes, **changes)
    driver = TopologyTestDriver(plan, nodes_of(plan, special))
    driver.pipe("input", {"n": 1}, key="r1")
    driver.advance(minutes=1)
    audit(driver)
    driver.close()
    (read,) = driver.read("output")
    assert (read.key, read.header("ce_id")) == ("r1", result_id("r1"))
    return read.json, driver


def statuses(result: Mapping[str, Any]) -> dict[str, str]:
    return {node: outcome["status"] for node, outcome in result["nodes"].items()}


def test_diamond() -> None:
    result, driver = ran(DIAMOND)
    assert result["status"] == "success"
    assert statuses(result) == dict.fromkeys(DIAMOND, "success")
    assert list(result["outputs"]) == ["summarize"]
    saw = result["outputs"]["summarize"]["saw"]
    assert saw["input"] == {"n": 1}
    assert {name: saw[name]["node"] for name in ("classify", "extract", "sentiment")} == {
        name: name for name in ("classify", "extract", "sentiment")
    }
    assert result["usage"] == {"prompt_tokens": 12, "completion_tokens": 20, "total_tokens": 32}
    assert result["cost_usd"] == 1.0
    assert [i.node for i in driver.executions].count("summarize") == 1
    assert len(driver.executions) == 4


def test_chain_in_order() -> None:
    _, driver = ran(CHAIN)
    assert [(i.node, i.attempt, i.seq) for i in driver.executions] == [("a", 1, 1), ("b", 1, 1), ("c", 1, 1)]


def test_a_node_sees_only_what_it_reads() -> None:
    _, driver = ran(CHAIN, nodes={"c": {"reads": ("a",), "reads_input": False}})
    assert list(driver.executions[-1].inputs) == ["a"]


def test_any_success_waits_for_all_and_runs_with_one() -> None:
    dag = {"a": (), "b": (), "c": ("a", "b")}
    result, driver = ran(dag, {"a": broken, "b": flaky(2)}, {"c": {"join": "any_success"}})
    assert statuses(result) == {"a": "failed", "b": "success", "c": "success"}
    assert result["status"] == "failed", "no node failed is what success means"
    assert driver.executions[-1].inputs["a"] is None
    assert driver.executions[-1].inputs["b"]["node"] == "b"


def test_all_done_runs_after_failures() -> None:
    result, _ = ran(CHAIN, {"a": broken}, {"b": {"join": "all_done"}})
    assert statuses(result) == {"a": "failed", "b": "success", "c": "success"}


def test_skips_spread_and_a_skip_is_no_failure() -> None:
    result, driver = ran(CHAIN, nodes={"a": {"when": "input.n > 1"}})
    assert statuses(result) == dict.fromkeys(CHAIN, "skipped")
    assert (result["status"], result["outputs"]) == ("success", {})
    assert driver.executions == []


def test_when_on_an_ancestor_s_output() -> None:
    result, _ = ran(CHAIN, nodes={"b": {"when": 'a.node == "a"'}, "c": {"when": 'b.node == "a"'}})
    assert statuses(result) == {"a": "success", "b": "success", "c": "skipped"}


def test_one_side_of_a_diamond_skipped() -> None:
    nodes = {"extract": {"when": "false"}, "summarize": {"join": "any_success"}}
    result, _ = ran(DIAMOND, nodes=nodes)
    assert statuses(result) == {
        "classify": "success",
        "extract": "skipped",
        "sentiment": "success",
        "summarize": "success",
    }
    assert result["status"] == "success"


def test_several_sinks_give_several_outputs() -> None:
    result, _ = ran({"a": (), "b": ("a",), "c": ("a",)}, {"c": broken})
    assert list(result["outputs"]) == ["b"]


def test_a_failure_says_why_and_what_it_cost() -> None:
    result, driver = ran(CHAIN, {"b": flaky(9)})
    b = result["nodes"]["b"]
    assert (b["status"], b["attempts"]) == ("failed", 3), "max_retries: 2 is at most 3 calls"
    assert b["error"] == {"kind": "handler", "message": "not yet"}
    assert b["usage"]["total_tokens"] == 6
    assert b["cost_usd"] == 1.5
    assert result["nodes"]["c"]["attempts"] == 0
    (dead,) = driver.read("dead-letter")
    assert dead.json == {"input": {"n": 1}, "a": {"node": "a", "saw": {"input": {"n": 1}}}}
    assert dead.header("penstock.error.node") == "b"
    assert dead.header("penstock.error.attempt") == "3"


def test_an_idempotency_key_reaches_the_node_and_stays_over_retries() -> None:
    _, driver = ran(CHAIN, {"b": flaky(1)}, {"b": {"idempotency_key": "${a.node}-${input.n}"}})
    assert [i.idempotency_key for i in driver.executions if i.node == "b"] == ["a-1", "a-1"]


def test_a_price_that_is_not_known_is_not_taken_for_nothing() -> None:
    result, _ = ran(CHAIN, {"b": lambda i: Done({}, cost_usd=None)})
    assert result["cost_usd"] is None


def test_rows_are_dense_and_say_all() -> None:
    result, driver = ran(CHAIN, {"b": flaky(1)})
    row = driver.table("b")["r1"]
    assert isinstance(row, NodeRow)
    assert (row.status, row.seq, row.attempt, row.incarnation, row.closing) == ("success", 2, 2, None, False)
    run = driver.table("run")["r1"]
    assert isinstance(run, RunRow)
    assert run.status == result["status"] == "success"
    assert driver.table("timers") == {}


def test_runs_do_not_see_each_other() -> None:
    plan = plan_of(DIAMOND)
    with TopologyTestDriver(plan, nodes_of(plan)) as driver:
        for n in range(20):
            driver.pipe("input", {"n": n}, key=f"r{n}")
        results = {read.key: read for read in driver.read("output")}
        assert {key: r.json["outputs"]["summarize"]["saw"]["input"] for key, r in results.items()} == {
            f"r{n}": {"n": n} for n in range(20)
        }
        assert {read.partition for read in results.values()} == {0, 1}


@pytest.mark.parametrize("topic", ["run", "a", "retry", "output"])
def test_a_run_s_records_are_all_in_one_partition(topic: str) -> None:
    plan = plan_of(CHAIN)
    with TopologyTestDriver(plan, nodes_of(plan, {"a": flaky(1)})) as driver:
        driver.pipe("input", {}, key="r2")
        driver.advance(minutes=1)
        assert len({read.partition for read in driver.read(topic)}) == 1


def test_an_unknown_topic_or_table_is_an_error_at_once() -> None:
    plan = plan_of(CHAIN)
    with TopologyTestDriver(plan, nodes_of(plan)) as driver:
        for wrong in (lambda: driver.read("nope"), lambda: driver.table("nope"), lambda: driver.pipe("nope", {})):
            with pytest.raises(ValueError, match="nope"):
                wrong()
        with pytest.raises(ValueError, match="nowhere"):
            driver.pipe("input", {}, crash_at="nowhere")
