"""What a node's attempts are allowed of a worker: how many at once, and how long one may take in all."""

from __future__ import annotations

from streams.nodes.process_pool import PROCESSES, START_MS
from topology.plan import NodePlan

PROVIDER_GRACE_MS = 1_000
"""An llm node keeps its timeout itself, for the breaker to see it; the guard comes after."""


def slots_of(plan: NodePlan) -> int:
    """Return how many attempts of a node may be at work at once in a worker.

    `concurrency` counts handler calls: a batch's items wait for each other without holding one. A process is for one attempt,
    and more of them than processors would only slow each other down: an attempt without one has not begun.
    """
    if plan.batch is not None:
        return plan.concurrency * plan.batch.max_size
    return min(plan.concurrency, PROCESSES) if _in_process(plan) else plan.concurrency


def patience_ms(plan: NodePlan) -> int:
    """Return how long an attempt may take in all before it is given up: `timeout_ms`, if its node does not keep that itself.

    An item of a batch waits for others, perhaps for a running call, and is called again in a half of the batch, in a half of
    that, and so on, till whoever is to blame is alone: two calls a level.
    """
    if plan.llm is not None:
        return plan.timeout_ms + PROVIDER_GRACE_MS
    if plan.batch is not None:
        calls = 2 + 2 * (plan.batch.max_size - 1).bit_length()
        return plan.batch.max_wait_ms + plan.timeout_ms * calls
    return plan.timeout_ms + START_MS if _in_process(plan) else plan.timeout_ms


def _in_process(plan: NodePlan) -> bool:
    return plan.function is not None and plan.function.executor == "process"
