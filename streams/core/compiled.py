"""A plan with its expressions compiled: made once at start-up, read by every decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codec import loads
from schemas.records import Gathered, Json
from topology.expressions import Condition, Interpolation, compile_condition, compile_interpolation
from topology.json_schema import Schema, compile_schema
from topology.plan import INPUT, NodePlan, WorkflowPlan


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """A node's plan, its compiled `when` and `idempotency_key`, and its place in the workflow's topics."""

    plan: NodePlan
    workflow: str
    retry_topic: str
    dead_letter_topic: str
    when: Condition | None
    idempotency_key: Interpolation | None


@dataclass(frozen=True, slots=True)
class CompiledWorkflow:
    """A workflow's plan with everything compiled that decisions evaluate."""

    plan: WorkflowPlan
    input_schema: Schema | None
    nodes: Mapping[str, CompiledNode]


def compile_workflow(plan: WorkflowPlan) -> CompiledWorkflow:
    """Compile the plan's conditions, keys and input schema; they were checked at load, so an error here is a defect."""
    schema = None if plan.input_schema is None else compile_schema(plan.input_schema, "input_schema")
    return CompiledWorkflow(plan, schema, {node.id: _compile_node(plan, node) for node in plan.nodes})


def _compile_node(plan: WorkflowPlan, node: NodePlan) -> CompiledNode:
    names = (INPUT, *node.reads)
    return CompiledNode(
        node,
        plan.id,
        plan.topic("retry"),
        plan.topic("dead-letter"),
        None if node.when is None else compile_condition(node.when, names),
        None if node.idempotency_key is None else compile_interpolation(node.idempotency_key, names),
    )


def texts_of(plan: NodePlan, gathered: Mapping[str, Gathered]) -> dict[str, Json | None]:
    """Return what the node sees, as JSON texts: "input" and its ancestors' ids, None for an ancestor without an output."""
    seen = (INPUT, *plan.reads) if plan.reads_input else plan.reads
    return {name: got.output if (got := gathered.get(name)) else None for name in seen}


def inputs_of(plan: NodePlan, gathered: Mapping[str, Gathered]) -> dict[str, Any]:
    """Return what the node sees as JSON values."""
    return {name: None if text is None else loads(text) for name, text in texts_of(plan, gathered).items()}
