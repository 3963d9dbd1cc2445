"""Found by workers of the chaos at their start: on SIGUSR1 they say on stderr what every asyncio task waits for."""

from __future__ import annotations

import asyncio
import signal
import sys
import traceback
from types import FrameType


def _dump(number: int, frame: FrameType | None) -> None:
    print("---- what the tasks wait for", file=sys.stderr)
    for loop_task in list(asyncio.tasks._all_tasks):  # type: ignore[attr-defined] # noqa: SLF001
        print(f"task {loop_task.get_name()} {loop_task.get_coro()!r}", file=sys.stderr)
        for line in _awaited(loop_task.get_coro()):
            print(f"    {line}", file=sys.stderr)
    traceback.print_stack(frame)


def _awaited(coroutine: object) -> list[str]:
    """Return where a coroutine stands, and what it awaits, and what that awaits."""
    lines = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            lines.append(repr(coroutine)[:200])
            break
        lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}")
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return lines


signal.signal(signal.SIGUSR1, _dump)
