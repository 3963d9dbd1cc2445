"""A shadow: another version of a workflow, on topics and in a group of its own, with nothing that reaches out of it."""

from __future__ import annotations

from dataclasses import replace

from topology.compile import hash_of
from topology.plan import NodePlan, WorkflowPlan


def shadow_id(workflow_id: str, key: str) -> str:
    """Return the id under which a shadow runs: its topics and its group have it as their prefix."""
    return f"shadow-{key[:12]}-{workflow_id}"


def stubbed(plan: WorkflowPlan) -> tuple[WorkflowPlan, frozenset[str]]:
    """Return the plan with whatever reaches out of the workflow made a function, and the ids of those nodes.

    That is nodes with an `idempotency_key`, external nodes and reviews: in a shadow they answer what production recorded.
    """
    reaching = frozenset(node.id for node in plan.nodes if _reaches_out(node))
    nodes = tuple(_stub(node) if node.id in reaching else _undoubted(node) for node in plan.nodes)
    plan = replace(plan, nodes=nodes)
    return replace(plan, plan_hash=hash_of(plan)), reaching


def _reaches_out(node: NodePlan) -> bool:
    return node.idempotency_key is not None or node.kind in ("review", "external")


def _stub(node: NodePlan) -> NodePlan:
    return replace(
        node,
        kind="function",
        idempotency_key=None,
        llm=None,
        lease=None,
        review=None,
        requests_topic=None,
        for_each=None,
        batch=None,
    )


def _undoubted(node: NodePlan) -> NodePlan:
    """Nobody reviews a shadow's doubts: there its run stops."""
    if node.llm is None or node.llm.on_low_confidence != "review":
        return node
    return replace(node, review=None, llm=replace(node.llm, on_low_confidence="stop"))
