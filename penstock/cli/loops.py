"""Running asynchronous work from a command, with an orderly end on SIGTERM, too (not on uvloop: docs/adr/0005)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from penstock.client.access import What
    from streams.engine.config import EngineConfig

T = TypeVar("T")

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what is inside as an exception does, with every `finally` on the way."""

    def leave(number: int, frame: object) -> None:
        raise typer.Exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def asking(work: Coroutine[Any, Any, T], config: EngineConfig, what: What, workflow_id: str | None) -> T:
    """Run `work`, which asks something of a workflow's topics; a refusal names the ACL that `what` takes."""
    from penstock.client.access import explained

    return run(explained(work, config, what, workflow_id))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; Ctrl-C and SIGTERM cancel it, so that it can put away what it started."""
    with asyncio.Runner() as runner:
        try:
            return runner.run(_terminable(work))
        except asyncio.CancelledError:
            raise typer.Exit(TERMINATED) from None


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    loop.add_signal_handler(signal.SIGTERM, lambda: task and task.cancel())
    try:
        return await work
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
