"""A plan with its expressions compiled: made once at start-up, read by every decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.claims import value_of, written
from schemas.codec import dumps, loads
from schemas.records import Gathered, Json, NodeRow
from streams.core.merge_patch import merge_patch
from streams.core.prices import Price
from streams.core.prompt import Prompt
from topology.expressions import (
    Condition,
    Expression,
    Interpolation,
    compile_condition,
    compile_expression,
    compile_interpolation,
)
from topology.items import index_of
from topology.json_schema import Schema, compile_schema
from topology.limits import LARGE, Limits, limits_of
from topology.plan import INPUT, NodePlan, WorkflowPlan

ITEM, INDEX = "item", "index"
"""What an item of a `for_each` node is called by itself, and its place."""

Prices = Mapping[str, Price | None]
"""By model; None where nobody knows."""


class NodeVersions(Protocol):
    """The versions of a workflow, as its nodes know them."""

    def node(self, plan_hash: str | None, node: str) -> CompiledNode:
        """Return a node as the version of that hash has it."""


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """A node's plan, its compiled expressions, and its place in the workflow's topics. `prompt`: what its calls are reserved by, and answers kept by."""

    plan: NodePlan
    workflow: str
    retry_topic: str
    dead_letter_topic: str
    when: Condition | None
    idempotency_key: Interpolation | None
    deadline_ms: int | None = None
    prompt: Prompt | None = None
    prices: Prices = field(default_factory=dict)
    rules: tuple[Condition, ...] = ()
    items: Expression | None = None
    form: Schema | None = None
    """What an edit of a reviewer must fit; of an answer in doubt, what the edited answer must fit."""
    versions: NodeVersions | None = field(default=None, compare=False, repr=False)
    limits: Limits = LARGE
    hides_keys: bool = False
    """Work done once per key is known by the key's hash: where payloads are encrypted, the keys of records are not."""

    def at(self, plan_hash: str | None) -> CompiledNode:
        """Return the node as the version of that hash has it, itself if only one is known."""
        if plan_hash is None or self.versions is None:
            return self
        return self.versions.node(plan_hash, self.plan.id)

    @property
    def evaluates(self) -> bool:
        """Say whether any expression is evaluated on what the node sees before it begins."""
        return bool(self.when or self.idempotency_key or self.rules or self.plan.lease or self.items)


@dataclass(frozen=True, slots=True)
class CompiledWorkflow:
    """A workflow's plan with everything compiled that decisions evaluate."""

    plan: WorkflowPlan
    input_schema: Schema | None
    nodes: Mapping[str, CompiledNode]
    stores: tuple[str, ...] = ()
    """The claim stores that an input, or an external app's answer, may name."""
    limits: Limits = LARGE


def compile_workflow(
    plan: WorkflowPlan,
    prices: Prices | None = None,
    versions: NodeVersions | None = None,
    hides_keys: bool = False,
    stores: tuple[str, ...] = (),
) -> CompiledWorkflow:
    """Compile the plan's conditions, keys and input schema; they were checked at load, so an error here is a defect."""
    schema = None if plan.input_schema is None else compile_schema(plan.input_schema, "input_schema")
    limits = limits_of(plan)
    nodes = {node.id: _compile_node(plan, node, prices or {}, versions, hides_keys, limits) for node in plan.nodes}
    return CompiledWorkflow(plan, schema, nodes, stores, limits)


def _compile_node(
    plan: WorkflowPlan, node: NodePlan, prices: Prices, versions: NodeVersions | None, hides_keys: bool, limits: Limits
) -> CompiledNode:
    names = (INPUT, *node.reads)
    key_names = dict.fromkeys((*names, ITEM, INDEX)) if node.for_each else names
    return CompiledNode(
        node,
        plan.id,
        plan.topic("retry"),
        plan.topic("dead-letter"),
        None if node.when is None else compile_condition(node.when, names),
        None if node.idempotency_key is None else compile_interpolation(node.idempotency_key, key_names),
        plan.deadline_ms,
        None if node.llm is None else Prompt(node),
        prices,
        tuple(compile_condition(rule.when, names) for rule in node.router.rules) if node.router else (),
        compile_expression(node.for_each.items, names) if node.for_each else None,
        compile_schema(node.review.form_schema, "form_schema") if node.review and node.review.form_schema else None,
        versions,
        limits,
        hides_keys,
    )


def texts_of(plan: NodePlan, row: NodeRow) -> dict[str, Json | None]:
    """Return what the node sees, as JSON texts: "input" and its ancestors' ids, None for an ancestor without an output.

    An item of a `for_each` node sees "item" and "index", too.
    """
    texts = _texts_of(plan, row.gathered, row.edits)
    if row.item is None:
        return texts
    return {**texts, ITEM: row.item, INDEX: dumps(index_of(plan.id))}


def inputs_of(plan: NodePlan, row: NodeRow) -> dict[str, Any]:
    """Return what the node sees as JSON values; what is in a claim store is a `Claim`."""
    return {name: None if text is None else value_of(text) for name, text in texts_of(plan, row).items()}


def _texts_of(plan: NodePlan, gathered: Mapping[str, Gathered], edits: Sequence[Json]) -> dict[str, Json | None]:
    seen = (INPUT, *plan.reads) if plan.reads_input else plan.reads
    texts = {name: got.output if (got := gathered.get(name)) else None for name in seen}
    if not edits:
        return texts
    values = _edited({name: None if text is None else value_of(text) for name, text in texts.items()}, edits)
    return {name: None if (value := values.get(name)) is None else written(value) for name in seen}


def _edited(values: dict[str, Any], edits: Sequence[Json]) -> dict[str, Any]:
    """Apply what redrives changed, in order; a part the node does not see stays out of it."""
    for edit in edits:
        values = merge_patch(values, loads(edit))
    return values
