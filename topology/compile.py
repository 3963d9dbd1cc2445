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
    BatchPlan,
    Budget,
    ClaimCheck,
    ForEachPlan,
    LeasePlan,
    LlmPlan,
    NodePlan,
    RetryPolicy,
    ReviewPlan,
    RouterPlan,
    Rule,
    TablePlan,
    TopicPlan,
    TopicPurpose,
    WorkflowPlan,
)
from topology.resources import Resources
from topology.spec import (
    DAY_MS,
    BaseNode,
    BudgetSpec,
    ExternalNode,
    FunctionNode,
    LlmNode,
    ReviewNode,
    ReviewSpec,
    RouterNode,
    WorkflowSpec,
)

FOR_EVER = -1
MONTH_MS = 30 * DAY_MS
TOKENS_MS = 15 * 60_000
"""Deltas are for those who watch now; the whole answer is in the journal."""
MAX_ITEMS = 1_000
"""How many items a `for_each` node works on unless told otherwise."""
ROUTER_OUTPUT_TOKENS = 1_024


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
        sinks=sinks_of(nodes),
        topics=topics_of(spec.id, nodes),
        tables=tables_of(spec.id, nodes, bool(spec.budget or spec.daily_budget)),
        plan_hash="",
        budget=_budget(spec.budget),
        daily_budget=_budget(spec.daily_budget),
        deadline_ms=spec.deadline_ms,
        claim_check=None
        if spec.claim_check is None
        else ClaimCheck(spec.claim_check.store, spec.claim_check.above_bytes),
        input_format=spec.input_format,
        output_format=spec.output_format,
    )
    return replace(plan, plan_hash=hash_of(plan))


def plan_as_json(plan: WorkflowPlan) -> dict[str, Any]:
    """Return the plan as JSON that is the same on every machine: no absolute path is in it."""
    whole = asdict(plan)
    for option in FORMATS:
        if whole[option] == "json":
            del whole[option]
    for node in whole["nodes"]:
        if node["function"] is not None:
            del node["function"]["path"]
            if node["function"]["executor"] == "thread":
                del node["function"]["executor"]
        if node["llm"] is not None and node["llm"]["on_rate_limit"] == "wait":
            del node["llm"]["on_rate_limit"]
        for option in OPTIONS:
            if not node[option]:
                del node[option]
    if whole["claim_check"] is None:
        del whole["claim_check"]
    return whole


FORMATS = ("input_format", "output_format")
"""As with OPTIONS: JSON, which is what there was at first, is not said."""

OPTIONS = ("router", "review", "batch", "for_each", "lease", "requests_topic", "stream", "background")
"""What only some nodes have; where it is absent the hash is as it was before there was such an option."""


def hash_of(plan: WorkflowPlan) -> str:
    """Return the sha256 of the plan's canonical JSON; handler code is not part of it."""
    whole = plan_as_json(plan)
    del whole["plan_hash"]
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def in_json(plan: WorkflowPlan) -> WorkflowPlan:
    """Return the plan with inputs and results in JSON: for where there is no registry, or topics that are deleted again."""
    if not plan.needs_registry:
        return plan
    plan = replace(plan, input_format="json", output_format="json")
    return replace(plan, plan_hash=hash_of(plan))


def sinks_of(nodes: tuple[NodePlan, ...]) -> tuple[str, ...]:
    """Return the nodes whose outputs are the run's: nobody waits for a background node, so it is none, nor does it hide one."""
    waited_for = {above for node in nodes if not node.background for above in node.dependencies}
    return tuple(node.id for node in nodes if not node.background and node.id not in waited_for)


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
        llm=_llm(node, resources),
        function=resources.handlers.get(node.id),
        router=_router(node),
        review=_review(node, resources),
        batch=_batch(node),
        for_each=_for_each(node),
        lease=_lease(spec.id, node),
        requests_topic=naming.requests_topic(spec.id, node.id) if isinstance(node, ExternalNode) else None,
        stream=isinstance(node, LlmNode) and node.stream,
        background=node.background,
    )


def _reads(node: BaseNode, graph: Graph, names: frozenset[str]) -> frozenset[str]:
    """Return the ancestors whose outputs the node sees: a handler gets all, for nobody can see into its code."""
    match node:
        case FunctionNode():
            return graph.ancestors[node.id]
        case ReviewNode() | ExternalNode():
            return names | frozenset(node.dependencies)
    return names


def _llm(node: BaseNode, resources: Resources) -> LlmPlan | None:
    match node:
        case LlmNode():
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
                on_rate_limit=node.on_rate_limit or "wait",
            )
        case RouterNode(model=str(model), prompt_template=str(path)):
            prompt = resources.prompts[node.id].source
            return LlmPlan((model,), prompt, path, _route_schema(node), ROUTER_OUTPUT_TOKENS, None, {})
    return None


def _route_schema(node: RouterNode) -> dict[str, Any]:
    """Return what a router's model must answer."""
    return {
        "type": "object",
        "properties": {
            "route": {"type": "string", "enum": list(node.routes)},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["route", "confidence"],
        "additionalProperties": False,
    }


def _router(node: BaseNode) -> RouterPlan | None:
    if not isinstance(node, RouterNode):
        return None
    routes = node.routes if isinstance(node.routes, dict) else dict.fromkeys(node.routes, "")
    rules = tuple(Rule(rule.when, rule.route) for rule in node.rules)
    return RouterPlan(rules, dict(routes), node.default_route, node.min_confidence)


def _review(node: BaseNode, resources: Resources) -> ReviewPlan | None:
    match node:
        case ReviewNode():
            form = resources.forms.get(node.id)
            return _review_plan(node, form.schema if form else None)
        case LlmNode(on_low_confidence="review"):
            schema = resources.schemas.get(node.id)
            return _review_plan(node.review or ReviewSpec(), schema.schema if schema else None)
    return None


def _review_plan(spec: ReviewNode | ReviewSpec, form: dict[str, Any] | None) -> ReviewPlan:
    return ReviewPlan(tuple(spec.assignees), spec.on_timeout, tuple(spec.escalate_to), spec.timeout_ms, form)


def _batch(node: BaseNode) -> BatchPlan | None:
    if not isinstance(node, FunctionNode) or node.batch is None:
        return None
    return BatchPlan(node.batch.max_size, node.batch.max_wait_ms)


def _for_each(node: BaseNode) -> ForEachPlan | None:
    if node.for_each is None:
        return None
    return ForEachPlan(
        node.for_each, node.max_items or MAX_ITEMS, node.on_item_error or "fail", naming.items_table(node.id)
    )


def _lease(workflow: str, node: BaseNode) -> LeasePlan | None:
    table = naming.leases_table(node.id)
    if isinstance(node, RouterNode) and node.cache_ttl_s is not None:
        return LeasePlan(naming.routes_topic(workflow, node.id), table, node.cache_ttl_s * 1000)
    if isinstance(node, FunctionNode | LlmNode | ExternalNode) and node.idempotency_key:
        return LeasePlan(naming.effects_topic(workflow, node.id), table, None)
    return None


def topics_of(workflow: str, nodes: tuple[NodePlan, ...]) -> tuple[TopicPlan, ...]:
    """Return every topic but the changelogs; those of options nobody uses are not made, so they are not here."""

    def topic(name: str, purpose: TopicPurpose, retention_ms: int = FOR_EVER) -> TopicPlan:
        return TopicPlan(name, purpose, "delete", retention_ms)

    def lease(node: NodePlan, plan: LeasePlan) -> TopicPlan:
        # A router's decisions are asked for by whoever holds a lease, however old: only what is expired may go.
        purpose: TopicPurpose = "routes" if node.kind == "router" else "effects"
        return topic(plan.topic, purpose, FOR_EVER if plan.ttl_ms is None else max(plan.ttl_ms, MONTH_MS))

    return (
        topic(naming.input_topic(workflow), "input"),
        topic(naming.control_topic(workflow), "control", MONTH_MS),
        topic(naming.run_topic(workflow), "run"),
        *(topic(node.topic, "journal") for node in nodes),
        *(topic(node.requests_topic, "requests", MONTH_MS) for node in nodes if node.requests_topic),
        *(lease(node, node.lease) for node in nodes if node.lease),
        topic(naming.retry_topic(workflow), "retry", MONTH_MS),
        topic(naming.dead_letter_topic(workflow), "dead-letter"),
        topic(naming.output_topic(workflow), "output"),
        *((topic(naming.tokens_topic(workflow), "tokens", TOKENS_MS),) if any(node.stream for node in nodes) else ()),
    )


def tables_of(workflow: str, nodes: tuple[NodePlan, ...], has_ledger: bool) -> tuple[TablePlan, ...]:
    """Return every table: the nodes', those of their items and leases, and the workflow's own."""
    ledger = (naming.LEDGER_TABLE,) if has_ledger else ()
    items = (node.for_each.table for node in nodes if node.for_each)
    leases = (node.lease.table for node in nodes if node.lease)
    names = (*(node.table for node in nodes), *items, *leases, naming.RUN_TABLE, naming.TIMERS_TABLE, *ledger)
    return tuple(TablePlan(name, naming.changelog_topic(workflow, name)) for name in names)


def _budget(spec: BudgetSpec | None) -> Budget | None:
    return None if spec is None else Budget(spec.max_tokens, spec.max_cost_usd)
