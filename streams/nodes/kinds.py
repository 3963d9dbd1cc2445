"""Which class runs which node kind."""

from __future__ import annotations

from typing import Protocol

from streams.core.outcome import Failed, NodeError, NodeInput, Outcome
from streams.nodes.batch import BatchNode
from streams.nodes.function import FunctionNode
from streams.nodes.llm import LlmNode
from streams.nodes.process import ProcessNode
from streams.nodes.resources import Resources
from streams.nodes.router import RouterNode
from streams.providers.redact import safe_message
from topology.plan import NodePlan


class Node(Protocol):
    """Something that executes attempts of one node."""

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Run one attempt."""


class GuardedNode:
    """A node whose bugs become failed attempts: an exception in it would otherwise be a run that never ends."""

    def __init__(self, node: Node, resources: Resources) -> None:
        self._node = node
        self._resources = resources

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Run one attempt; only cancellation is raised."""
        try:
            return await self._node.execute(node_input)
        except Exception as error:
            text = f"node {node_input.node!r} failed within Penstock: {type(error).__name__}: {error}"
            message = safe_message(text, self._resources.providers.secrets)
            self._resources.logger.error("node_bug", node=node_input.node, run_id=node_input.run_id, error=message)
            return Failed(NodeError("internal", message))


def build(node: NodePlan, workflow_id: str, resources: Resources) -> Node:
    """Return the node ready to run: prompts compiled, handler loaded, provider found; what cannot work raises here."""
    match node.kind:
        case "llm":
            return GuardedNode(LlmNode(node, resources), resources)
        case "function":
            return GuardedNode(_function(node, workflow_id, resources), resources)
        case "router" if node.llm is not None:
            return GuardedNode(RouterNode(node, resources), resources)
        case kind:
            raise NotImplementedError(f"node {node.id!r}: kind {kind!r} does not run on the executor")


def _function(node: NodePlan, workflow_id: str, resources: Resources) -> Node:
    if node.batch is not None:
        return BatchNode(node, workflow_id, resources)
    in_process = node.function is not None and node.function.executor == "process"
    return (ProcessNode if in_process else FunctionNode)(node, workflow_id, resources)
