"""What a node does once it may run: each kind begins its work in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.records import NodeRow
from streams.core import items, lease, reuse, review
from streams.core.node_attempts import launch
from streams.core.node_context import Context
from streams.core.router import decide_by_rule
from streams.core.transition import Transition


def begin(context: Context, row: NodeRow, inputs: Mapping[str, Any]) -> Transition:
    """Set a node to work that every source has ended for; ExpressionError if an expression of its own cannot be evaluated."""
    if context.node.plan.kind == "review":
        return review.ask(context, row)
    if context.node.plan.router is not None:
        decided = decide_by_rule(context, row, inputs)
        if decided is not None:
            return decided
    if context.node.plan.for_each is not None:
        return items.fan_out(context, row, inputs)
    answered = reuse.answer_again(context, row, inputs)
    if answered is not None:
        return answered
    if context.node.plan.lease is not None:
        return lease.ask(context, row, inputs)
    return launch(context, row)
