"""Versions of one workflow: a plan read back from its JSON, what of it is structure (fixed per workflow id), and what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from topology.compile import FORMATS, hash_of
from topology.plan import NodePlan, TablePlan, TopicPlan, WorkflowPlan

_PLANS = TypeAdapter(WorkflowPlan)

_EDGES = ("dependencies", "reads", "reads_input")
_PLACES = ("for_each", "lease")
"""Options whose table holds rows of runs in flight: with the option the table would go."""

Named = TypeVar("Named", TopicPlan, TablePlan)


class UnreadablePlan(ValueError):
    """A recorded plan that this version of Penstock does not understand."""


def plan_from_json(recorded: Mapping[str, Any]) -> WorkflowPlan:
    """Return the plan that `plan_as_json` gave; its handlers have no path, for that is every machine's own.

    Raises:
        UnreadablePlan: keys or values that are not known, or a hash that is another plan's.
    """
    try:
        nodes = [_with_path(node) for node in recorded["nodes"]]
        plan = _PLANS.validate_python({**recorded, "nodes": nodes})
    except (KeyError, TypeError, ValidationError) as error:
        raise UnreadablePlan(f"{type(error).__name__}: {error}") from error
    if hash_of(plan) != plan.plan_hash:  # a key that is not known would have been part of it
        raise UnreadablePlan(f"it is not the plan whose hash it has: {plan.plan_hash}")
    return plan


def _with_path(node: Mapping[str, Any]) -> dict[str, Any]:
    function = node["function"]
    return {**node, "function": None if function is None else {**function, "path": None}}


def differences(old: WorkflowPlan, new: WorkflowPlan) -> list[str]:
    """Return what differs in structure: nodes, edges, schemas. Two versions without differences share topics, tables and rows."""
    before, after = {node.id: node for node in old.nodes}, {node.id: node for node in new.nodes}
    found = [f"node {name!r} is new" for name in after if name not in before]
    found += [f"node {name!r} is gone" for name in before if name not in after]
    if old.input_schema != new.input_schema:
        found.append("input_schema has changed")
    for option in FORMATS:
        if (was := getattr(old, option)) != (now := getattr(new, option)):
            found.append(f"{option} was {was}, is {now}")
    if old.run_id_from != new.run_id_from:
        found.append(f"run_id_from was {old.run_id_from}, is {new.run_id_from}")
    for name in before.keys() & after.keys():
        found += [f"node {name!r}: {what}" for what in _of_node(before[name], after[name])]
    return sorted(found)


def _of_node(old: NodePlan, new: NodePlan) -> Iterable[str]:
    if old.kind != new.kind:
        yield f"type was {old.kind}, is {new.kind}"
    for edge in _EDGES:
        was, now = getattr(old, edge), getattr(new, edge)
        if was != now:
            yield f"{edge} was {_listed(was)}, is {_listed(now)}"
    for place in _PLACES:
        if (getattr(old, place) is None) != (getattr(new, place) is None):
            yield f"{_KEYS[place]} is {'new' if getattr(old, place) is None else 'gone'}"
    if old.background != new.background:
        yield f"background was {_said(old.background)}, is {_said(new.background)}"
    if _output_schema(old) != _output_schema(new):
        yield "output_schema has changed"


_KEYS = {"for_each": "for_each", "lease": "idempotency_key or cache_ttl_s"}


def _output_schema(node: NodePlan) -> dict[str, Any] | None:
    """Return the schema that the workflow file gives; a router's follows from its routes, which may change."""
    return node.llm.output_schema if node.llm and node.kind == "llm" else None


def _listed(value: tuple[str, ...] | bool) -> str:
    return _said(value) if isinstance(value, bool) else f"[{', '.join(value)}]"


def _said(value: bool) -> str:
    return "true" if value else "false"


def with_layout_of(plan: WorkflowPlan, others: Iterable[WorkflowPlan]) -> WorkflowPlan:
    """Return `plan` with every topic and table that it or another version has: runs of each may be in flight."""
    others = tuple(others)
    return replace(
        plan,
        topics=_united(plan.topics, (topic for other in others for topic in other.topics)),
        tables=_united(plan.tables, (table for other in others for table in other.tables)),
    )


def _united(own: tuple[Named, ...], others: Iterable[Named]) -> tuple[Named, ...]:
    known = {one.name: one for one in own}
    for other in others:
        known.setdefault(other.name, other)
    return tuple(known.values())


def with_handlers_of(plan: WorkflowPlan, own: WorkflowPlan) -> WorkflowPlan:
    """Return a recorded plan with the handlers that this worker has: a plan is pinned, code is not (PROTOCOL.md 16)."""
    mine = {node.id: node.function for node in own.nodes}
    nodes = tuple(replace(node, function=mine.get(node.id)) if node.function else node for node in plan.nodes)
    return replace(plan, nodes=nodes)
