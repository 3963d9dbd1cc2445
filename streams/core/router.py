"""What a router's agent decides without asking anybody: the first rule that holds, or the default where there is no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.codec import dumps
from schemas.records import NodeRow, Spent, Succeeded
from streams.core.node_context import Context
from streams.core.node_end import close
from streams.core.transition import Transition


def decide_by_rule(context: Context, row: NodeRow, inputs: Mapping[str, Any]) -> Transition | None:
    """Return the route taken without a call, None if the model must be asked; ExpressionError if a rule cannot be evaluated."""
    node = context.node
    assert node.plan.router is not None  # noqa: S101 - the compiler's promise
    for position, (rule, condition) in enumerate(zip(node.plan.router.rules, node.rules, strict=True)):
        if condition.evaluate(inputs):
            return _take(context, row, rule.route, 1.0, f"rule:{position}")
    if node.plan.llm is not None:
        return None
    default = node.plan.router.default_route
    assert default is not None  # noqa: S101 - without a model there is one
    return _take(context, row, default, 0.0, "default")


def _take(context: Context, row: NodeRow, route: str, confidence: float, by: str) -> Transition:
    now = context.moment.now
    output = dumps({"route": route, "confidence": confidence, "by": by})
    node = context.node.plan.id
    return close(
        context, row, Succeeded(row.run_id, node, row.epoch, row.seq, row.attempt, output, Spent(), None, now, now)
    )
