"""The router node: asks its model for one of the routes. Its rules were tried by its agent, before anything was launched."""

from __future__ import annotations

from schemas.quick import replace
from streams.core.outcome import Done, NodeInput, Outcome
from streams.nodes.llm import LlmNode
from streams.nodes.resources import Resources
from topology.plan import NodePlan, RouterPlan


class RouterNode:
    """One router node of a plan that has a model."""

    def __init__(self, node: NodePlan, resources: Resources) -> None:
        assert node.router is not None, node.id  # noqa: S101 - the compiler's promise
        self._router: RouterPlan = node.router
        self._llm = LlmNode(node, resources)

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt; an answer in doubt takes the default route."""
        outcome = await self._llm.execute(node_input)
        if not isinstance(outcome, Done):
            return outcome
        route, confidence, by = outcome.output["route"], float(outcome.output["confidence"]), "model"
        least, default = self._router.min_confidence, self._router.default_route
        if least is not None and confidence < least and default is not None:
            route, by = default, "default"
        return replace(outcome, output={"route": route, "confidence": confidence, "by": by})
