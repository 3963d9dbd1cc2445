"""Versions of a workflow: plans read back from their JSON, and what of them is structure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.plans import CHAIN, DIAMOND, for_each, llm, once, plan_of, review, router
from topology.compile import hash_of, plan_as_json
from topology.load import load_workflow
from topology.plan import Budget, WorkflowPlan
from topology.versions import UnreadablePlan, differences, plan_from_json, with_handlers_of, with_layout_of

EXAMPLES = sorted(Path(__file__).parents[2].glob("workflows/*/workflow.yaml"))


def recorded(plan: WorkflowPlan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(plan_as_json(plan)))
    return found


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_a_plan_is_read_back_as_it_was(file: Path) -> None:
    plan = load_workflow(file).require_plan()
    assert with_handlers_of(plan_from_json(recorded(plan)), plan) == plan


def test_a_plan_with_keys_of_a_later_penstock_is_not_half_read() -> None:
    plan = plan_of(CHAIN)
    known = recorded(replace(plan, plan_hash=hash_of(plan)))
    plan_from_json(known)
    for broken in ({**known, "nodes": None}, {**known, "version": "2"}, {k: v for k, v in known.items() if k != "id"}):
        with pytest.raises(UnreadablePlan):
            plan_from_json(broken)


BASE = plan_of(CHAIN, nodes={"b": llm()})


@pytest.mark.parametrize(
    "other",
    [
        plan_of(CHAIN, nodes={"b": llm("m2", prompt="Tell", temperature=0.2, max_output_tokens=9)}),
        plan_of(CHAIN, nodes={"b": {**llm(), "timeout_ms": 5, "when": "input.n == 1", "concurrency": 1}}),
        plan_of(CHAIN, nodes={"b": llm()}, version="2", budget=Budget(9, None), deadline_ms=5, state_retention_ms=7),
        plan_of(CHAIN, nodes={"b": {**llm(), "stream": True}}),
        plan_of(CHAIN, nodes={"b": {**llm(), **review()} | {"kind": "llm"}}),
    ],
    ids=["model", "policy", "limits", "stream", "doubts reviewed"],
)
def test_behaviour_is_not_structure(other: WorkflowPlan) -> None:
    assert differences(BASE, other) == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (plan_of({**CHAIN, "d": ("c",)}, nodes={"b": llm()}), "node 'd' is new"),
        (plan_of({"a": (), "b": ("a",)}, nodes={"b": llm()}), "node 'c' is gone"),
        (plan_of(CHAIN), "node 'b': type was llm, is function"),
        (
            plan_of({"a": (), "b": ("a",), "c": ("a", "b")}, nodes={"b": llm()}),
            "node 'c': dependencies was [b], is [a, b]",
        ),
        (plan_of(CHAIN, nodes={"b": {**llm(), "reads": ()}}), "node 'b': reads was [a], is []"),
        (plan_of(CHAIN, nodes={"b": {**llm(), "reads_input": False}}), "node 'b': reads_input was true, is false"),
        (plan_of(CHAIN, nodes={"b": llm(output_schema={"type": "object"})}), "node 'b': output_schema has changed"),
        (plan_of(CHAIN, nodes={"b": llm()}, input_schema={"type": "object"}), "input_schema has changed"),
        (plan_of(CHAIN, nodes={"b": {**llm(), **for_each("b")}}), "node 'b': for_each is new"),
        (plan_of(CHAIN, nodes={"b": {**llm(), **once("b")}}), "node 'b': idempotency_key or cache_ttl_s is new"),
        (plan_of(CHAIN, nodes={"b": {**llm(), "background": True}}), "node 'b': background was false, is true"),
        (plan_of(CHAIN, nodes={"b": llm()}, run_id_from="offset"), "run_id_from was auto, is offset"),
    ],
)
def test_what_differs_in_structure_is_named(other: WorkflowPlan, what: str) -> None:
    assert differences(BASE, other) == [what] or what in differences(BASE, other)
    assert differences(other, BASE) != []


def test_a_router_may_get_other_routes() -> None:
    one = plan_of(CHAIN, nodes={"b": router(("input.n == 1", "odd"), model=True)})
    two = plan_of(CHAIN, nodes={"b": router(("input.n == 2", "even"), model=True)})
    assert differences(one, two) == []


def test_a_layout_has_the_topics_and_tables_of_all_versions() -> None:
    limited = plan_of(DIAMOND, budget=Budget(1, None), nodes={"extract": {**llm(), "stream": True}})
    plain = plan_of(DIAMOND, nodes={"extract": llm()})
    both = with_layout_of(plain, [limited])
    assert {t.name for t in both.topics} == {t.name for t in limited.topics}
    assert {t.name for t in both.tables} == {t.name for t in limited.tables}
    assert with_layout_of(limited, [plain]) == limited
    assert both.budget is None
