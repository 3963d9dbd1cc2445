"""Nodes that wait have no row of their own: what it would say, the run's row and those of their sources say already.

All of them are in one partition, and a node's sources read each record before it does. So a row is written once the node has
something to do, or hears something that no other row keeps: half as many as if every node noted whatever it waits for.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.records import TERMINAL_STATUSES, Gathered, NodeRow, RunRow
from streams.core.compiled import CompiledNode
from streams.core.node_agent import fits, gathered_one_by_one
from topology.plan import INPUT, WorkflowPlan

RowOf = Callable[[str], NodeRow | None]
"""The row of a node of the same run."""


def input_keeper(plan: WorkflowPlan) -> str | None:
    """Return the node whose row keeps the run's input for others that read it, None if there is none that begins with it."""
    return next((node.id for node in plan.nodes if not node.sources and node.reads_input), None)


class Waiting:
    """Which nodes of a workflow need no row while they wait, and what it would say. Versions agree on it: it is structure."""

    def __init__(self, plan: WorkflowPlan) -> None:
        self._root = input_keeper(plan)
        # A review shows who made what it is about, which the rows of its sources do not say.
        self.nodes = frozenset(
            node.id
            for node in plan.nodes
            if node.sources and node.kind != "review" and (self._root or not node.reads_input)
        )

    def row(self, node: CompiledNode, run: RunRow, row_of: RowOf) -> NodeRow | None:
        """Return the row of a node of a started run as the others tell it.

        None while the row of the node that keeps the input is not there: a crash came between the two, and `Started` is read again.
        """
        plan = node.plan
        gathered = {}
        if plan.reads_input:
            root = row_of(self._root or "")
            if root is None or INPUT not in root.gathered:
                return None
            gathered[INPUT] = root.gathered[INPUT]
        for source in plan.sources:
            ended = row_of(source)
            if ended is not None and ended.status == "success" and ended.epoch == 0:
                gathered[source] = Gathered("success", ended.output if source in plan.reads else None)
        row = NodeRow(
            run.run_id,
            started=True,
            gathered=gathered,
            traceparent=run.traceparent,
            deadline_at=None if node.deadline_ms is None else (run.started_at or 0) + node.deadline_ms,
            kept=plan.id in run.reused,
            plan_hash=run.plan_hash,
        )
        return row if fits(gathered, node.limits.row) else gathered_one_by_one(row, node.limits.row)

    @staticmethod
    def ended(node: CompiledNode, row_of: RowOf) -> bool:
        """Say whether every source of a node has ended."""
        for source in node.plan.sources:
            row = row_of(source)
            if row is None or row.status not in TERMINAL_STATUSES:
                return False
        return True
