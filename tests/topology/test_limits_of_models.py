"""Budgets and confidence: what cannot work is found at load, at the key that says it."""

from __future__ import annotations

import pytest

from tests.topology.workflow_files import errors, llm, load, nodes
from topology.plan import Budget

SURE = "output_schema: schemas/sure.json, min_confidence: 0.5"


def with_budget(text: str, line: str) -> str:
    return nodes(text).replace("1.0.0", f"1.0.0\n  {line}")


def test_what_a_plan_says_of_models_and_money() -> None:
    text = llm("a", more=f", {SURE}, fallback_models: [n, o], on_low_confidence: fallback")
    plan = load(with_budget(text, "budget: {max_tokens: 5000, max_cost_usd: 0.5}\n  deadline_ms: 1000")).plan
    assert plan is not None
    assert (plan.budget, plan.daily_budget, plan.deadline_ms) == (Budget(5000, 0.5), None, 1000)
    assert plan.has_ledger
    assert [table.changelog for table in plan.tables][-1] == "penstock.w-ledger-changelog"
    assert plan.nodes[0].llm is not None
    assert plan.nodes[0].llm.models == ("m", "n", "o")
    assert (plan.nodes[0].llm.min_confidence, plan.nodes[0].llm.on_low_confidence) == (0.5, "fallback")


def test_a_plan_without_a_budget_has_no_ledger() -> None:
    plan = load(nodes(llm("a"))).plan
    assert plan is not None
    assert not plan.has_ledger
    assert "ledger" not in {table.name for table in plan.tables}


def test_the_budget_is_part_of_the_plan_s_hash() -> None:
    plans = [load(with_budget(llm("a"), f"budget: {{max_tokens: {n}}}")).plan for n in (5000, 5001)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].plan_hash != plans[1].plan_hash


@pytest.mark.parametrize("key", ["budget", "daily_budget"])
def test_a_node_no_run_could_afford(key: str) -> None:
    found = errors(with_budget(llm("a", more=", max_output_tokens: 200"), f"{key}: {{max_tokens: 200}}"))
    assert found == [
        f"w.yaml:6:85: node 'a': max_output_tokens 200 does not fit {key}.max_tokens 200: no call of it could ever be made"
    ]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("", "needs an output_schema with a number 'confidence'"),
        ("output_schema: schemas/open.json, ", "needs a number 'confidence' among the properties of schemas/open.json"),
    ],
)
def test_confidence_needs_a_number_to_compare(schema: str, message: str) -> None:
    (found,) = errors(nodes(llm("a", more=f", {schema}min_confidence: 0.5")))
    assert found.endswith(f"node 'a': min_confidence {message}")


def test_a_confidence_that_may_be_missing_is_warned_of() -> None:
    optional = '{"type": "object", "properties": {"confidence": {"type": "number"}}}'
    loaded = load(nodes(llm("a", more=f", {SURE}")), schemas__sure_json=optional)
    assert loaded.plan is not None
    assert [warning.message for warning in loaded.warnings] == [
        "node 'a': 'confidence' is not required in schemas/sure.json: an answer without it counts as low"
    ]
