"""Small plans for tests: a DAG of function nodes, made by hand so that a test shows all it depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from topology import naming
from topology.compile import sinks_of, tables_of, topics_of
from topology.plan import (
    ForEachPlan,
    LeasePlan,
    LlmPlan,
    NodePlan,
    OnItemError,
    RetryPolicy,
    ReviewPlan,
    RouterPlan,
    Rule,
    WorkflowPlan,
)

DIAMOND: Mapping[str, Sequence[str]] = {
    "classify": (),
    "extract": ("classify",),
    "sentiment": ("classify",),
    "summarize": ("extract", "sentiment"),
}
CHAIN: Mapping[str, Sequence[str]] = {"a": (), "b": ("a",), "c": ("b",)}


def plan_of(
    dag: Mapping[str, Sequence[str]],
    workflow: str = "wf",
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> WorkflowPlan:
    """Return a plan whose nodes see all their ancestors; `nodes` changes fields of single nodes, `changes` of the plan."""
    above: dict[str, set[str]] = {}
    for node, needs in dag.items():
        above[node] = set(needs).union(*(above[need] for need in needs))
    plans = tuple(
        replace(
            _node(workflow, node, tuple(needs), tuple(n for n in dag if n in above[node])),
            **(nodes or {}).get(node, {}),
        )
        for node, needs in dag.items()
    )
    plan = WorkflowPlan(
        id=workflow,
        version="1",
        partitions=2,
        input_schema=None,
        run_id_from="auto",
        state_retention_ms=600_000,
        nodes=plans,
        sinks=sinks_of(plans),
        topics=topics_of(workflow, plans),
        tables=tables_of(workflow, plans, bool(changes.get("budget") or changes.get("daily_budget"))),
        plan_hash="hash",
    )
    return replace(plan, **changes)


def llm(*models: str, **changes: Any) -> dict[str, Any]:
    """Return the fields that make a node of `plan_of` an llm node."""
    plan = LlmPlan(models or ("m1",), "Say {{ input.n }}", "p.j2", None, 100, None, {})
    return {"kind": "llm", "llm": replace(plan, **changes)}


def external(node: str, workflow: str = "wf") -> dict[str, Any]:
    """Return the fields that make `node` of `plan_of` an external node."""
    return {"kind": "external", "requests_topic": naming.requests_topic(workflow, node)}


def review(form: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the fields that make a node of `plan_of` a review, or an llm node one whose doubts are reviewed."""
    plan = ReviewPlan(("ada",), "reject", (), 60_000, form)
    return {"kind": "review", "review": replace(plan, **changes)}


def once(node: str, key: str = "${input.key}", workflow: str = "wf", ttl_ms: int | None = None) -> dict[str, Any]:
    """Return the fields that make `node` of `plan_of` one whose work is done once per key."""
    lease = LeasePlan(naming.effects_topic(workflow, node), naming.leases_table(node), ttl_ms)
    return {"idempotency_key": key, "lease": lease}


def cached(node: str, ttl_ms: int, workflow: str = "wf") -> dict[str, Any]:
    """Return the fields that make `node` of `plan_of` a router with a model and a cache."""
    lease = LeasePlan(naming.routes_topic(workflow, node), naming.leases_table(node), ttl_ms)
    return {**router(("input.n == 9", "ruled"), model=True), "lease": lease}


def for_each(node: str, items: str = "input.list", on_error: OnItemError = "fail", most: int = 10) -> dict[str, Any]:
    """Return the fields that make `node` of `plan_of` work item by item."""
    return {"for_each": ForEachPlan(items, most, on_error, naming.items_table(node))}


def router(*rules: tuple[str, str], default: str | None = "other", model: bool = False) -> dict[str, Any]:
    """Return the fields that make a node of `plan_of` a router: rules as (condition, route)."""
    routes = dict.fromkeys([*(route for _, route in rules), *([default] if default else [])], "")
    plan = RouterPlan(tuple(Rule(when, route) for when, route in rules), routes, default, None)
    return {**(llm() if model else {}), "kind": "router", "router": plan}


def _node(workflow: str, node: str, needs: tuple[str, ...], reads: tuple[str, ...]) -> NodePlan:
    return NodePlan(
        id=node,
        kind="function",
        dependencies=needs,
        reads=reads,
        reads_input=True,
        join="all_success",
        when=None,
        idempotency_key=None,
        retry=RetryPolicy(2, 1000),
        timeout_ms=10_000,
        concurrency=64,
        topic=naming.journal_topic(workflow, node),
        table=naming.node_table(node),
    )
