"""The function node: calls a user's handler, in a thread or on the loop, and believes nothing about it."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome
from streams.nodes.context import HandlerContext, context_of
from streams.nodes.handler_failures import failure_of
from streams.nodes.handler_loader import Handler, load_handler
from streams.nodes.json_output import NotJson, json_object
from streams.nodes.resources import Resources
from streams.providers.redact import safe_message
from topology.plan import INPUT, NodePlan


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a handler raised, as a value: SystemExit would end the worker, StopIteration would hang the future."""

    error: BaseException


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
        inputs = private_copy({**dict.fromkeys((INPUT, *self._node.reads)), **node_input.inputs})
        try:
            returned = await self._called(inputs, context)
        except asyncio.CancelledError:
            context.give_up()
            raise
        if isinstance(returned, _Raised):
            return Failed(failure_of(returned.error, self._handler, self._secrets))
        return self._outcome(returned)

    def _outcome(self, returned: Any) -> Outcome:
        if isinstance(returned, NotJson):
            text = f"{self._handler.place}: {self._handler.name}() returned {returned.reason}"
            return Failed(NodeError("handler", safe_message(text, self._secrets), retryable=False))
        return Done(returned)

    async def _called(self, inputs: dict[str, Any], context: HandlerContext) -> Any:
        """Return a JSON object, NotJson or _Raised."""
        if self._handler.is_async:
            return await _awaited(self._handler, inputs, context)
        loop = asyncio.get_running_loop()
        run = contextvars.copy_context().run
        returned = await loop.run_in_executor(self._threads, run, _in_thread, self._handler, inputs, context)
        if inspect.isawaitable(returned):  # a plain function around an async one, as a decorator makes it
            return await _checked(returned)
        return returned


def _in_thread(handler: Handler, inputs: dict[str, Any], context: HandlerContext) -> Any:
    try:
        returned = handler.function(inputs, context)
        return returned if inspect.isawaitable(returned) else json_object(returned)
    except BaseException as error:
        return _Raised(error)


async def _awaited(handler: Handler, inputs: dict[str, Any], context: HandlerContext) -> Any:
    try:
        returned = handler.function(inputs, context)
    except BaseException as error:
        return _Raised(error)
    return await _checked(returned) if inspect.isawaitable(returned) else json_object(returned)


async def _checked(returned: Awaitable[Any]) -> Any:
    try:
        return json_object(await returned)
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
            raise
        return _Raised(error)  # something the handler awaited was cancelled, not this attempt
    except BaseException as error:
        return _Raised(error)


def private_copy(value: Any) -> Any:
    """Copy JSON values: what a handler does to its inputs must not change the row they come from."""
    if isinstance(value, Mapping):
        return {key: private_copy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [private_copy(inner) for inner in value]
    return value
