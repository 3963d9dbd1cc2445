"""Spec -> plan: every default filled in, every name made, every file's content within, and one hash over all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from topology import naming
from topology.graph import Graph
from topology.plan import (
    INPUT,
    Budget,
    LlmPlan,
    NodePlan,
    RetryPolicy,
    TablePlan,
    TopicPlan,
    TopicPurpose,
    WorkflowPlan,
)
from topology.resources import Resources
from topology.spec import DAY_MS, BaseNode, BudgetSpec, ExternalNode, FunctionNode, LlmNode, ReviewNode, WorkflowSpec

FOR_EVER = -1
MONTH_MS = 30 * DAY_MS


def compile_plan(
    spec: WorkflowSpec, graph: Graph, names: Mapping[str, frozenset[str]], resources: Resources, partitions: int
) -> WorkflowPlan:
    """Return the plan of a workflow without errors; `names` says what each node names."""
    by_id: dict[str, BaseNode] = {node.id: node for node in spec.nodes}
    nodes = tuple(_node(spec, by_id[node], graph, names[node], resources) for node in graph.order)
    plan = WorkflowPlan(
        id=spec.id,
        version=spec.version,
        partitions=partitions,
        input_schema=resources.input_schema.schema if resources.input_schema else None,
        run_id_from=spec.run_id_from,
        state_retention_ms=spec.state_retention_ms,
        nodes=nodes,
        sinks=graph.sinks,
        topics=_topics(spec.id, nodes),
        tables=_tables(spec, nodes),
        plan_hash="",
        budget=_budget(spec.budget),
        daily_budget=_budget(spec.daily_budget),
        deadline_ms=spec.deadline_ms,
    )
    return replace(plan, plan_hash=hash_of(plan))


def plan_as_json(plan: WorkflowPlan) -> dict[str, Any]:
    """Return the plan as JSON that is the same on every machine: no absolute path is in it."""
    whole = asdict(plan)
    for node in whole["nodes"]:
        if node["function"] is not None:
            del node["function"]["path"]
    return whole


def hash_of(plan: WorkflowPlan) -> str:
    """Return the sha256 of the plan's canonical JSON; handler code is not part of it."""
    whole = plan_as_json(plan)
    del whole["plan_hash"]
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _node(spec: WorkflowSpec, node: BaseNode, graph: Graph, names: frozenset[str], resources: Resources) -> NodePlan:
    return NodePlan(
        id=node.id,
        kind=node.type,  # type: ignore[attr-defined]  # every kind has it, as the discriminator of the union
        dependencies=graph.in_order(graph.dependencies[node.id]),
        reads=graph.in_order(_reads(node, graph, names)),
        reads_input=INPUT in names or isinstance(node, FunctionNode | ReviewNode | ExternalNode),
        join=node.join,
        when=node.when,
        idempotency_key=node.idempotency_key,
        retry=RetryPolicy(node.max_retries, node.backoff_ms),
        timeout_ms=node.timeout_ms,
        concurrency=node.concurrency,
        topic=naming.journal_topic(spec.id, node.id),
        table=naming.node_table(node.id),
        llm=_llm(node, resources) if isinstance(node, LlmNode) else None,
        function=resources.handlers.get(node.id),
    )


def _reads(node: BaseNode, graph: Graph, names: frozenset[str]) -> frozenset[str]:
    """Return the ancestors whose outputs the node sees: a handler gets all, for nobody can see into its code."""
    match node:
        case FunctionNode():
            return graph.ancestors[node.id]
        case ReviewNode() | ExternalNode():
            return names | frozenset(node.dependencies)
    return names


def _llm(node: LlmNode, resources: Resources) -> LlmPlan:
    schema = resources.schemas.get(node.id)
    return LlmPlan(
        models=(node.model, *node.fallback_models),
        prompt=resources.prompts[node.id].source,
        prompt_path=node.prompt_template,
        output_schema=schema.schema if schema else None,
        max_output_tokens=node.max_output_tokens,
        temperature=node.temperature,
        params=node.params,
        min_confidence=node.min_confidence,
        on_low_confidence=node.on_low_confidence or "stop",
    )


def _topics(workflow: str, nodes: tuple[NodePlan, ...]) -> tuple[TopicPlan, ...]:
    """Return every topic but the changelogs; those of options not in effect are not made, so they are not here."""

    def topic(name: str, purpose: TopicPurpose, retention_ms: int = FOR_EVER) -> TopicPlan:
        return TopicPlan(name, purpose, "delete", retention_ms)

    return (
        topic(naming.input_topic(workflow), "input"),
        topic(naming.control_topic(workflow), "control", MONTH_MS),
        topic(naming.run_topic(workflow), "run"),
        *(topic(node.topic, "journal") for node in nodes),
        topic(naming.retry_topic(workflow), "retry", MONTH_MS),
        topic(naming.dead_letter_topic(workflow), "dead-letter"),
        topic(naming.output_topic(workflow), "output"),
    )


def _tables(spec: WorkflowSpec, nodes: tuple[NodePlan, ...]) -> tuple[TablePlan, ...]:
    ledger = (naming.LEDGER_TABLE,) if spec.budget or spec.daily_budget else ()
    names = (*(node.table for node in nodes), naming.RUN_TABLE, naming.TIMERS_TABLE, *ledger)
    return tuple(TablePlan(name, naming.changelog_topic(spec.id, name)) for name in names)


def _budget(spec: BudgetSpec | None) -> Budget | None:
    return None if spec is None else Budget(spec.max_tokens, spec.max_cost_usd)
