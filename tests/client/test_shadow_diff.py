"""What differs between two results of a run, and what a shadow came to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.client.shadow import shadow_id, stubbed
from penstock.client.shadow_diff import Summary, compared, diff
from tests.plans import CHAIN, external, llm, once, plan_of, review

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
)


def test_every_place_that_differs_is_named() -> None:
    before = {"a": 1, "b": [1, 2, {"c": "x"}], "gone": None, "same": True}
    after = {"a": 2, "b": [1, {"c": "x"}], "new": 0, "same": True}
    assert list(diff(before, after)) == [
        {"path": "$.a", "before": 1, "after": 2},
        {"path": "$.b[1]", "before": 2, "after": {"c": "x"}},
        {"path": "$.b[2]", "before": {"c": "x"}},
        {"path": "$.gone", "before": None},
        {"path": "$.new", "after": 0},
    ]
    assert list(diff(1, True)) == [{"path": "$", "before": 1, "after": True}]


@given(VALUES, VALUES)
def test_nothing_differs_only_between_equals(one: Any, other: Any) -> None:
    assert list(diff(one, one)) == []
    assert bool(list(diff(one, other))) == (_typed(one) != _typed(other))


def _typed(value: Any) -> Any:
    """Return the value with booleans told from numbers."""
    match value:
        case dict():
            return {key: _typed(item) for key, item in value.items()}
        case list():
            return [_typed(item) for item in value]
        case bool():
            return ("bool", value)
        case _:
            return value


def result(outputs: Any, cost: float | None = 1.0, ms: int = 100, status: str = "success") -> dict[str, Any]:
    nodes = {
        "a": {"status": "success", "reused": status == "failed"},
        "b": {"status": status, "reused": False},
        "c": {"status": "skipped", "reused": False},
    }
    usage = {"total_tokens": 10}
    return {
        "run_id": "r1",
        "status": status,
        "outputs": outputs,
        "nodes": nodes,
        "usage": usage,
        "cost_usd": cost,
        "duration_ms": ms,
    }


def test_the_summary_counts_its_lines() -> None:
    summary = Summary()
    for after in (result({"a": 1}), result({"a": 2}, 0.5, 300), result({}, None, 200, "failed")):
        summary.take(compared(result({"a": 1}), after))
    assert summary.told() == {
        "runs": 3,
        "changed": 2,
        "equal": 1,
        "failed": 1,
        "reused": 1,
        "tokens": {"before": 30, "after": 30, "ratio": 1.0},
        "cost_usd": {"before": 2.0, "after": 1.5, "ratio": 0.75},
        "duration_ms": {"before": 300, "after": 600, "ratio": 2.0},
    }


def test_a_line_has_what_differs_and_what_it_took() -> None:
    line = compared(result({"a b": [1]}), result({"a b": [2]}, None, 300))
    assert line == {
        "run_id": "r1",
        "changed": True,
        "status": {"before": "success", "after": "success"},
        "outputs": {"before": {"a b": [1]}, "after": {"a b": [2]}},
        "route": {"before": ["a", "b"], "after": ["a", "b"]},
        "tokens": {"before": 10, "after": 10},
        "cost_usd": {"before": 1.0, "after": None},
        "duration_ms": {"before": 100, "after": 300},
        "reused": [],
        "diff": [{"path": "$.outputs['a b'][0]", "before": 1, "after": 2}],
    }


def test_an_input_that_was_refused_differs() -> None:
    refused = {"run_id": "r1", "status": "dead_letter", "error": {"kind": "input_schema", "message": "no"}}
    line = compared(result({}), refused)
    assert (line["changed"], line["route"]["after"], line["tokens"]["after"]) == (True, [], None)


def test_what_reaches_out_is_stubbed() -> None:
    plan = plan_of({**CHAIN, "d": ("c",)}, nodes={"a": llm(), "b": once("b"), "c": external("c"), "d": review()})
    shadow, reaching = stubbed(plan)
    assert reaching == {"b", "c", "d"}
    assert [(node.kind, node.executes, node.lease) for node in shadow.nodes] == [("llm", True, None)] + [
        ("function", True, None)
    ] * 3


def test_a_shadow_has_topics_of_its_own() -> None:
    assert shadow_id("intake", "0123456789abcdef") == "shadow-0123456789ab-intake"
