"""The executor: runs attempts as asyncio tasks beside the batch loop, so that no agent ever waits for one."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from topology.items import base_of

Key = tuple[str, str, int, int]
"""Node, run, epoch, seq: the same attempt is never in flight twice in one process."""

Work = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _InFlight:
    partition: int
    work: Work
    task: asyncio.Task[None] | None = None
    begun: bool = field(default=False)


class Executor:
    """Attempts in flight, at most `concurrency` of a node at once; the others wait without a slot.

    A task that raises ends the process' work: `failure` is then set, and the worker stops on it.
    """

    def __init__(self, concurrency: dict[str, int]) -> None:
        self._slots = {node: asyncio.Semaphore(limit) for node, limit in concurrency.items()}
        self._flights: dict[Key, _InFlight] = {}
        self._by_run: defaultdict[tuple[str, str], set[Key]] = defaultdict(set)
        self._closing = False
        self.idle = asyncio.Event()
        self.idle.set()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Key) -> bool:
        return key in self._flights

    def launch(self, key: Key, partition: int, work: Work) -> None:
        """Run `work` when its node has a free slot; nothing happens if the attempt is in flight already."""
        if key in self._flights:
            return
        flight = self._flights[key] = _InFlight(partition, work)
        self._by_run[base_of(key[0]), key[1]].add(key)
        self.idle.clear()
        flight.task = asyncio.create_task(self._run(key, flight))

    def abort(self, node: str, run_id: str) -> None:
        """Cancel what is in flight for a node of a run, with all its items, or for one item: its end is decided already."""
        base = base_of(node)
        for key in list(self._by_run.get((base, run_id), ())):
            if node in (base, key[0]):
                self._cancel(key)

    def withdraw(self) -> list[tuple[int, Key]]:
        """Cancel attempts that have not begun and return them with their partitions. Begun ones run on and publish."""
        waiting = [(flight.partition, key) for key, flight in self._flights.items() if not flight.begun]
        for _, key in waiting:
            self._cancel(key)
        return waiting

    async def drain(self, seconds: float) -> bool:
        """Wait until nothing is in flight; False if that took longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self.idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Cancel everything and wait for it to end."""
        self._closing = True
        tasks = [flight.task for flight in self._flights.values() if flight.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.failure.done() and not self.failure.cancelled():
            self.failure.exception()  # seen: the loop must not report it again
        self.failure.cancel()

    def _cancel(self, key: Key) -> None:
        task = self._flights[key].task
        if task is not None:
            task.cancel()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        if self._flights.pop(key, None) is None:
            return
        of = (base_of(key[0]), key[1])
        keys = self._by_run[of]
        keys.discard(key)
        if not keys:
            del self._by_run[of]
        if not self._flights:
            self.idle.set()

    async def _run(self, key: Key, flight: _InFlight) -> None:
        try:
            async with self._slots[base_of(key[0])]:
                flight.begun = True
                await flight.work()
        except asyncio.CancelledError:
            if self._flights.get(key) is flight and not self._closing and not self.failure.done():
                self.failure.set_exception(RuntimeError(f"attempt {key} was cancelled by itself"))
            raise
        except BaseException as error:  # whatever it is, the worker must not run on without it
            if not self.failure.done():
                self.failure.set_exception(error)
        finally:
            if self._flights.get(key) is flight:
                self._forget(key)
