"""The function node: calls a user's handler, in a thread or on the loop, once per attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome
from streams.nodes.context import context_of
from streams.nodes.handler_call import Raised, call_handler
from streams.nodes.handler_failures import failure_of
from streams.nodes.handler_loader import Handler, load_handler
from streams.nodes.json_output import NotJson, json_object
from streams.nodes.resources import Resources
from streams.providers.redact import safe_message
from topology.plan import INPUT, NodePlan


class FunctionNode:
    """One function node of a plan; its handler is loaded when it is made."""

    def __init__(self, node: NodePlan, workflow_id: str, resources: Resources) -> None:
        assert node.function is not None, node.id  # noqa: S101 - the compiler's promise
        self._node = node
        self._handler = load_handler(node.function, workflow_id, resources.module_paths)
        self._threads = resources.threads
        self._logger = resources.logger
        self._secrets = resources.providers.secrets

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt."""
        context = context_of(node_input, self._logger)
        inputs = inputs_for(self._node, node_input)
        try:
            returned = await call_handler(self._handler, self._threads, json_object, inputs, context)
        except asyncio.CancelledError:
            context.give_up()
            raise
        return outcome_of(returned, self._handler, self._secrets)


def inputs_for(node: NodePlan, node_input: NodeInput) -> dict[str, Any]:
    """Return what the handler gets: every ancestor is there, None if it has no output. Each attempt has values of its own."""
    return {**dict.fromkeys((INPUT, *node.reads)), **node_input.inputs}


def outcome_of(returned: Any, handler: Handler, secrets: Iterable[str]) -> Done | Failed:
    """Return the outcome that a JSON object, NotJson or Raised stands for."""
    if isinstance(returned, Raised):
        return Failed(failure_of(returned.error, handler, secrets))
    if isinstance(returned, NotJson):
        return unusable(handler, f"returned {returned.reason}", secrets)
    return Done(returned)


def unusable(handler: Handler, said: str, secrets: Iterable[str]) -> Failed:
    """Return the failure of a handler whose answer cannot be used: calling it again would give the same."""
    text = f"{handler.place}: {handler.name}() {said}"
    return Failed(NodeError("handler", safe_message(text, secrets), retryable=False))
