"""The nodes at work, version by version: those of this worker's own file from the start, those of others once one of their runs needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streams.core.outcome import Failed, NodeError, NodeInput, Outcome
from streams.core.versions import Versions
from streams.engine.attempt import Node
from streams.errors import PenstockError
from topology.plan import NodePlan, WorkflowPlan

Build = Callable[[NodePlan], Node]


class VersionNodes:
    """Gives the node that runs an attempt. A node that is the same in two versions is one object: a batch gathers for both."""

    def __init__(self, own: WorkflowPlan, nodes: Mapping[str, Node], versions: Versions, build: Build) -> None:
        self._own = {node.id: node for node in own.nodes}
        self._nodes = nodes
        self._versions = versions
        self._build = build
        self._others: dict[tuple[str, str], Node] = {}

    def of(self, node: str, plan_hash: str | None) -> Node:
        """Return the node as the version of that hash has it."""
        plan = self._versions.node(plan_hash, node).plan
        own = self._own[node]
        if plan is own or plan == own:  # the first is nearly every attempt's case, and compares nothing
            return self._nodes[node]
        key = (node, plan_hash or "")
        if key not in self._others:
            self._others[key] = self._built(plan)
        return self._others[key]

    def _built(self, plan: NodePlan) -> Node:
        try:
            return self._build(plan)
        except PenstockError as error:
            return Unbuilt(str(error))


class Unbuilt:
    """Stands for a node of another version that this worker cannot build, for want of a provider perhaps: its attempts fail for good."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Fail the attempt: redriven, the node runs with the current version."""
        message = f"the version that the run began with cannot run here: {self._why}. A redrive takes the current one"
        return Failed(NodeError("version", message, retryable=False))
