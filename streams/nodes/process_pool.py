"""Handler processes of a worker: started when an attempt needs one, ended one by one without harm to the others, none left over.

Why not a library's pool: each known one either breaks as a whole when one process dies (concurrent.futures, pebble if it was
idle), or keeps what handlers print and the exit code to itself (anyio). Here a process is one pipe, and its end is one attempt's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from streams.nodes.process_frames import HEAD_BYTES, Hello, Logged, frame, length_of, value_of

PROCESSES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""How many processes a node has at most: one more would only slow the others down."""

START_MS = 60_000
"""How long a process may take to start and to import its handler; that is not part of a node's `timeout_ms`."""

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from streams.nodes.process_child import main; main()"
_CLOSE_WITHIN_S = 5.0


class ProcessEnded(Exception):
    """A handler process ended, though nobody ended it; the message says how."""


class HandlerProcess:
    """One process, which works on one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process, logger: FilteringBoundLogger) -> None:
        self._process = process
        self._logger = logger

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Say whether it has not ended, as far as is known."""
        return self._process.returncode is None

    async def ask(self, value: Any) -> Any:
        """Send a value and return the answer; log what comes in between. Whoever gives up waiting must end the process."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - both are pipes
        try:
            stdin.write(frame(value))
            await stdin.drain()
            while True:
                head = await stdout.readexactly(HEAD_BYTES)
                answer = value_of(await stdout.readexactly(length_of(head)))
                if not isinstance(answer, Logged):
                    return answer
                getattr(self._logger, answer.level)(**answer.fields)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ProcessEnded(_how(await self._process.wait())) from None

    def kill(self) -> None:
        """End it at once, whatever it does."""
        if self.alive:
            self._process.kill()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._process.wait()


class HandlerProcesses:
    """Every handler process of a worker, so that none outlives it."""

    def __init__(self) -> None:
        self._all: set[HandlerProcess] = set()
        self._reaping: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> set[int]:
        """The process ids of those that live."""
        return {process.pid for process in self._all if process.alive}

    async def start(self, hello: Hello, logger: FilteringBoundLogger) -> tuple[HandlerProcess, str | None]:
        """Start a process and return it with why it cannot load its handler, if so; TimeoutError if it takes too long."""
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _BOOT, _ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        process = HandlerProcess(made, logger)
        self._all.add(process)
        try:
            async with asyncio.timeout(START_MS / 1000):
                return process, await process.ask(hello)
        except BaseException:
            self.end(process)
            raise

    def end(self, process: HandlerProcess) -> None:
        """End a process without waiting for it."""
        process.kill()
        task = asyncio.get_running_loop().create_task(self._reap(process))
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)

    async def _reap(self, process: HandlerProcess) -> None:
        await process.ended()
        self._all.discard(process)

    async def aclose(self) -> None:
        """End all of them and see them gone."""
        for process in list(self._all):
            self.end(process)
        if self._reaping:
            _, left = await asyncio.wait(self._reaping, timeout=_CLOSE_WITHIN_S)
            for task in left:  # a process it forked holds its pipe open
                structlog.get_logger(__name__).warning("a handler process does not end")
                task.cancel()


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"by {name}" + (" (is the memory exhausted?)" if name == "SIGKILL" else "")
