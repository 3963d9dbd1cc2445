"""Call a user's handler, on the loop or in a thread, and believe nothing about it: whatever comes of it is a value."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, cast

from streams.nodes.handler_loader import Handler

Convert = Callable[[Any], Any]
"""What is made of a returned value, beside the handler: a large output is not written and read on the loop if it need not be."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a handler raised, as a value: SystemExit would end the worker, StopIteration would hang the future."""

    error: BaseException


async def call_handler(handler: Handler, threads: Executor, convert: Convert, inputs: Any, context: Any) -> Any:
    """Return what `convert` makes of the returned value, or `Raised`; only the caller's own cancellation is raised."""
    if handler.is_async:
        return await _awaited(handler, convert, inputs, context)
    loop = asyncio.get_running_loop()
    run = contextvars.copy_context().run
    returned = await loop.run_in_executor(threads, run, call_here, handler, convert, inputs, context)
    if inspect.isawaitable(returned):  # a plain function around an async one, as a decorator makes it
        return await _checked(convert, returned)
    return returned


def call_here(handler: Handler, convert: Convert, inputs: Any, context: Any) -> Any:
    """Call a plain function in this thread; an awaitable it returns is handed on."""
    try:
        returned = handler.function(inputs, context)
        return returned if inspect.isawaitable(returned) else convert(returned)
    except BaseException as error:
        return Raised(error)


async def _awaited(handler: Handler, convert: Convert, inputs: Any, context: Any) -> Any:
    try:
        returned = handler.function(inputs, context)
    except BaseException as error:
        return Raised(error)
    return await _checked(convert, returned) if inspect.isawaitable(returned) else convert(returned)


async def _checked(convert: Convert, returned: Awaitable[Any]) -> Any:
    try:
        return convert(await returned)
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
            raise
        return Raised(error)  # something the handler awaited was cancelled, not this attempt
    except BaseException as error:
        return Raised(error)
