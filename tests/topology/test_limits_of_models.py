"""Budgets and confidence: what cannot work is found at load, at the key that says it."""

from __future__ import annotations

import pytest

from tests.topology.workflow_files import errors, llm, load, nodes
from topology.describe import describe, description
from topology.load import Loaded
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


FINE = {"budget": "{max_tokens: 5000}", "daily_budget": "{max_cost_usd: 1}", "deadline_ms": "1000"}
CALL = f", {SURE}, fallback_models: [n, o], on_low_confidence: fallback"


def hash_with(more: str = CALL, **changed: str) -> str:
    limits = "\n  ".join(f"{key}: {value}" for key, value in {**FINE, **changed}.items())
    return load(with_budget(llm("a", more=more), limits)).require_plan().plan_hash


@pytest.mark.parametrize(
    "changed",
    [
        {"budget": "{max_tokens: 5001}"},
        {"budget": "{max_tokens: 5000, max_cost_usd: 0}"},
        {"daily_budget": "{max_cost_usd: 1.5}"},
        {"deadline_ms": "1001"},
        {"more": CALL.replace("[n, o]", "[o, n]")},
        {"more": CALL.replace("0.5", "0.6")},
        {"more": CALL.replace(": fallback", ": stop")},
    ],
    ids=str,
)
def test_limits_and_models_are_part_of_the_plan_s_hash(changed: dict[str, str]) -> None:
    assert hash_with(**changed) != hash_with()
    assert hash_with() == hash_with()


def test_limits_and_models_are_described() -> None:
    text = with_budget(llm("a", more=CALL), "budget: {max_tokens: 5000, max_cost_usd: 0.5}\n  deadline_ms: 1000")
    plan = load(text).require_plan()
    described = description(plan)
    assert described["budget"] == {"max_tokens": 5000, "max_cost_usd": 0.5}
    assert described["deadline_ms"] == 1000
    assert "daily_budget" not in described
    assert described["tables"][-1] == {"name": "ledger", "changelog": "penstock.w-ledger-changelog"}
    node = described["nodes"][0]
    assert (node["model"], node["fallback_models"]) == ("m", ["n", "o"])
    assert (node["min_confidence"], node["on_low_confidence"]) == (0.5, "fallback")
    assert describe(plan, "text").splitlines()[1:3] == ["budget max_tokens 5000, max_cost_usd 0.5", "deadline_ms 1000"]
    assert "on_rate_limit" not in node
    leaving = load(nodes(llm("a", more=f"{CALL}, on_rate_limit: fallback"))).require_plan()
    assert description(leaving)["nodes"][0]["on_rate_limit"] == "fallback"
    for format in ("text", "mermaid"):
        assert "m, else n, else o" in describe(plan, format)


def test_what_is_not_set_is_not_described() -> None:
    described = description(load(nodes(llm("a"))).require_plan())
    assert not {"budget", "daily_budget", "deadline_ms"} & set(described)
    assert not {"fallback_models", "min_confidence", "on_low_confidence"} & set(described["nodes"][0])


@pytest.mark.parametrize("key", ["budget", "daily_budget"])
def test_a_node_no_run_could_afford(key: str) -> None:
    limit = f"{key}: {{max_tokens: 200}}"
    assert errors(with_budget(llm("a", more=", max_output_tokens: 200"), limit)) == [
        f"w.yaml:6:85: node 'a': max_output_tokens 200 and a prompt do not fit {key}.max_tokens 200:"
        " no call of it could ever be made"
    ]
    assert errors(with_budget(llm("a", more=", max_output_tokens: 199"), limit)) == []


def test_the_default_of_output_tokens_may_be_too_many() -> None:
    (found,) = errors(with_budget(llm("a"), "budget: {max_tokens: 1000}"))
    assert found.startswith(
        "w.yaml:6:8: node 'a': max_output_tokens 1024 and a prompt do not fit budget.max_tokens 1000"
    )


def test_dollars_are_not_known_at_load() -> None:
    assert errors(with_budget(llm("a"), "budget: {max_cost_usd: 0}")) == []


def sure(field: str, required: str = '["confidence"]', more: str = "") -> Loaded:
    schema = f'{{"type": "object", "properties": {{"confidence": {field}}}, "required": {required}{more}}}'
    return load(nodes(llm("a", more=f", {SURE}")), schemas__sure_json=schema)


@pytest.mark.parametrize(
    ("schema", "place", "message"),
    [
        ("", "w.yaml:5:85", "needs an output_schema with a number 'confidence'"),
        (
            "output_schema: schemas/open.json, ",
            "w.yaml:5:119",
            "needs a number 'confidence' among the properties of schemas/open.json",
        ),
    ],
)
def test_confidence_needs_a_number_to_compare(schema: str, place: str, message: str) -> None:
    found = errors(nodes(llm("a", more=f", {schema}min_confidence: 0.5")))
    assert found == [f"{place}: node 'a': min_confidence {message}"]


@pytest.mark.parametrize(
    "field",
    [
        "true",
        "{}",
        '{"type": "string"}',
        '{"type": ["string", "null"]}',
        '{"enum": ["high", "low"]}',
        '{"anyOf": [{"type": "string"}, {"type": "null"}]}',
        '{"$ref": "#/properties/confidence"}',
        '{"$ref": "#/properties"}',
        '{"$ref": "#"}',
    ],
)
def test_what_is_no_number(field: str) -> None:
    (found,) = sure(field).errors
    assert "needs a number 'confidence' among the properties" in found.message


@pytest.mark.parametrize(
    "field",
    [
        '{"type": "number"}',
        '{"type": "integer"}',
        '{"$ref": "#/$defs/share"}',
        '{"allOf": [{"$ref": "#/$defs/share"}]}',
    ],
)
def test_what_is_a_number(field: str) -> None:
    loaded = sure(field, more=', "$defs": {"share": {"type": "number", "maximum": 1}}')
    assert (loaded.errors, loaded.warnings) == ((), ())


@pytest.mark.parametrize(
    ("field", "required", "said"),
    [
        ('{"type": "number"}', "[]", "is not required in schemas/sure.json: an answer without it counts as low"),
        (
            '{"type": ["number", "null"]}',
            '["confidence"]',
            "need not be a number in schemas/sure.json: anything else counts as low",
        ),
        (
            '{"anyOf": [{"type": "number"}, {"type": "null"}]}',
            '["confidence"]',
            "need not be a number in schemas/sure.json: anything else counts as low",
        ),
    ],
)
def test_a_confidence_that_may_be_missing_is_warned_of(field: str, required: str, said: str) -> None:
    loaded = sure(field, required)
    assert loaded.plan is not None
    assert [str(warning) for warning in loaded.warnings] == [f"w.yaml:5:119: node 'a': 'confidence' {said}"]


def test_a_schema_that_is_wrong_has_one_error() -> None:
    loaded = sure('{"type": "nonsense"}')
    assert [error.file for error in loaded.errors] == ["schemas/sure.json"]


def test_a_number_no_provider_could_read() -> None:
    (found,) = errors(nodes(llm("a", more=f", params: {{seed: {2**70}}}")))
    assert found.endswith("params: 'seed' has more than 64 bits")
