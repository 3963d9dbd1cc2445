"""A plan as something to look at: a table, a Mermaid graph, or JSON. Generated from the plan alone, the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from topology.asyncapi import document
from topology.naming import consumer_group
from topology.plan import INPUT, Budget, NodePlan, WorkflowPlan
from topology.promises import Promise, duration, promises_of

_MERMAID_WORDS = frozenset(
    {"call", "class", "click", "default", "direction", "end", "flowchart", "graph", "href", "style", "subgraph"}
)
"""Bare, these mean something else to Mermaid."""


class UnknownFormat(ValueError):
    """There is no such format (yet)."""


def describe(plan: WorkflowPlan, format: str = "text") -> str:
    """Return the plan as `text`, `mermaid`, `json` or `asyncapi`, ending in a newline."""
    if format not in FORMATS:
        raise UnknownFormat(f"format {format!r} is not one of {', '.join(FORMATS)}")
    return FORMATS[format](plan)


def description(plan: WorkflowPlan) -> dict[str, Any]:
    """Return what `describe --format json` prints."""
    return {
        "workflow": plan.id,
        "version": plan.version,
        "partitions": plan.partitions,
        **_limits(plan),
        "nodes": [_node(plan, node) for node in plan.nodes],
        "topics": [
            {"name": t.name, "purpose": t.purpose, "cleanup": t.cleanup, "retention_ms": t.retention_ms}
            for t in plan.topics
        ],
        "tables": [{"name": table.name, "changelog": table.changelog} for table in plan.tables],
        "promises": [asdict(promise) for promise in promises_of(plan)],
        "edges": edges(plan),
    }


def _limits(plan: WorkflowPlan) -> dict[str, Any]:
    """Return the limits that are set, named as in the file."""
    limits = {"budget": _budget(plan.budget), "daily_budget": _budget(plan.daily_budget)}
    return {key: value for key, value in {**limits, "deadline_ms": plan.deadline_ms}.items() if value is not None}


def _budget(budget: Budget | None) -> dict[str, Any] | None:
    return None if budget is None else {key: value for key, value in asdict(budget).items() if value is not None}


def edges(plan: WorkflowPlan) -> list[dict[str, str]]:
    """Return each pair of nodes once: `control` where the one waits for the other, `data` where it only reads its output.

    A dependency that is also read stays one `control` edge (the node's `reads` tells): two arrows between the same two
    nodes would look like two ways a record can take.
    """
    found = []
    for node in plan.nodes:
        found += [{"from": above, "to": node.id, "kind": "control"} for above in node.dependencies]
        found += [
            {"from": above, "to": node.id, "kind": "data"} for above in node.reads if above not in node.dependencies
        ]
    return found


def _node(plan: WorkflowPlan, node: NodePlan) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": node.id,
        "type": node.kind,
        "sources": [plan.topic("run"), *(plan.node(above).topic for above in node.sources), node.topic],
        "topic": node.topic,
        "table": node.table,
        "dependencies": list(node.dependencies),
        "reads": list(node.reads),
        "reads_input": node.reads_input,
        "join": node.join,
        "when": node.when,
        "idempotency_key": node.idempotency_key,
        "retry": {"max_retries": node.retry.max_retries, "backoff_ms": node.retry.backoff_ms},
        "timeout_ms": node.timeout_ms,
        "concurrency": node.concurrency,
    }
    if node.llm is not None:
        entry["model"] = node.llm.models[0]
        if node.llm.models[1:]:
            entry["fallback_models"] = list(node.llm.models[1:])
        if node.llm.min_confidence is not None:
            entry["min_confidence"] = node.llm.min_confidence
            entry["on_low_confidence"] = node.llm.on_low_confidence
        if node.llm.on_rate_limit != "wait":
            entry["on_rate_limit"] = node.llm.on_rate_limit
        entry["prompt_template"] = node.llm.prompt_path
    if node.function is not None:
        entry["handler"] = node.function.reference
        if node.function.executor != "thread":
            entry["executor"] = node.function.executor
    return {**entry, **_options(node)}


def _options(node: NodePlan) -> dict[str, Any]:
    """Return what only some nodes have, by the names in the file."""
    found: dict[str, Any] = {}
    if node.router is not None:
        found["routes"] = list(node.router.routes)
        found["rules"] = [asdict(rule) for rule in node.router.rules]
        found["default_route"] = node.router.default_route
    if node.review is not None:
        found["review"] = {key: value for key, value in asdict(node.review).items() if key != "form_schema"}
    if node.batch is not None:
        found["batch"] = asdict(node.batch)
    if node.for_each is not None:
        found["for_each"] = node.for_each.items
        found |= {"max_items": node.for_each.max_items, "on_item_error": node.for_each.on_item_error}
    if node.lease is not None and node.lease.ttl_ms is not None:
        found["cache_ttl_s"] = node.lease.ttl_ms // 1000
    if node.requests_topic is not None:
        found["requests_topic"] = node.requests_topic
    found |= {key: True for key in ("stream", "background") if getattr(node, key)}
    return found


def _as_json(plan: WorkflowPlan) -> str:
    return json.dumps(description(plan), indent=2, ensure_ascii=False) + "\n"


def _as_asyncapi(plan: WorkflowPlan) -> str:
    return json.dumps(document(plan), indent=2, ensure_ascii=False) + "\n"


def _as_mermaid(plan: WorkflowPlan) -> str:
    """Return a flowchart: solid arrows are dependencies, dotted ones data that is read from further up."""
    lines = ["flowchart LR", f'  input(["{plan.topic("input")}"])']
    lines += [f'  {_mermaid_id(node.id)}["{_label(node)}"]' for node in plan.nodes]
    lines.append(f'  output(["{plan.topic("output")}"])')
    lines += [f"  input --> {_mermaid_id(node.id)}" for node in plan.nodes if not node.dependencies]
    arrows = {"control": "-->", "data": "-.->"}
    for edge in edges(plan):
        lines.append(f"  {_mermaid_id(edge['from'])} {arrows[edge['kind']]} {_mermaid_id(edge['to'])}")
    lines += [f"  {_mermaid_id(node)} --> output" for node in plan.sinks]
    return "\n".join(lines) + "\n"


def _mermaid_id(node: str) -> str:
    return f"{node}_" if node in _MERMAID_WORDS else node


def _label(node: NodePlan) -> str:
    parts = [node.id, f"{node.kind} {_does(node)}".strip()]
    if node.when is not None:
        parts.append(f"when {node.when}")
    return "<br/>".join(_escaped(part) for part in parts)


def _escaped(text: str) -> str:
    for char, entity in (("#", "#35;"), ("&", "#38;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):  # '#' first
        text = text.replace(char, entity)
    return " ".join(text.split())


def _as_text(plan: WorkflowPlan) -> str:
    head = f"workflow {plan.id} {plan.version}, {plan.partitions} partitions, group {consumer_group(plan.id)}"
    blocks = [
        "\n".join([head, *(_limit(key, value) for key, value in _limits(plan).items())]),
        _table(
            ["node", "type", "does", "waits for", "reads", "join", "when"], [_text_row(node) for node in plan.nodes]
        ),
        _table(
            ["topic", "purpose", "cleanup", "retention"],
            [[t.name, t.purpose, t.cleanup, duration(t.retention_ms)] for t in plan.topics],
        ),
        _table(["table", "changelog"], [[table.name, table.changelog] for table in plan.tables]),
        _table(["promise", "needs", "by", "of"], [_promise(plan, promise) for promise in promises_of(plan)]),
    ]
    return "\n\n".join(blocks) + f"\n\nplan {plan.plan_hash}\n"


def _limit(key: str, value: Any) -> str:
    """Return a limit as one line."""
    return f"{key} {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}"


def _does(node: NodePlan) -> str:
    """Return the models in the order they are asked, or the handler and how it is called."""
    if node.llm is not None:
        return ", else ".join(node.llm.models)
    if node.function is None:
        return ""
    process = " in a process" if node.function.executor == "process" else ""
    return f"{node.function.reference}{process}" + (f" by {node.batch.max_size}" if node.batch else "")


def _text_row(node: NodePlan) -> list[str]:
    reads = [*([INPUT] if node.reads_input else []), *node.reads]
    when = " ".join((node.when or "-").split())
    return [
        node.id,
        node.kind,
        _does(node) or "-",
        ", ".join(node.dependencies) or "-",
        ", ".join(reads) or "-",
        node.join,
        when,
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def _promise(plan: WorkflowPlan, promise: Promise) -> list[str]:
    """Return a promise as a row: topics by their purposes, for their names stand above."""
    purposes = dict.fromkeys(topic.purpose for topic in plan.topics if topic.name in promise.topics)
    return [
        promise.name,
        duration(promise.needs_ms),
        promise.by,
        f"{promise.setting}: {', '.join(purposes) or 'changelogs'}",
    ]


FORMATS: Mapping[str, Callable[[WorkflowPlan], str]] = {
    "text": _as_text,
    "mermaid": _as_mermaid,
    "json": _as_json,
    "asyncapi": _as_asyncapi,
}
