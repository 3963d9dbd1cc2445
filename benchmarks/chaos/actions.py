"""What each kind of event does, and how it is undone."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from benchmarks.chaos.broker import Broker
from benchmarks.chaos.schedule import Event, Kind
from benchmarks.chaos.workers import Worker

CUTS: frozenset[Kind] = frozenset({"blackhole", "reset"})

RESTART_S = 1.0
_LOOK_S = 0.2


@dataclass(slots=True)
class Blow:
    """Something that was done: to the worker in `slot` (None: to the broker), from when until when (epoch seconds)."""

    kind: Kind
    slot: int | None
    began: float
    ended: float = inf


@dataclass(slots=True)
class Chronicle:
    """What was done, on stderr and in a file, too."""

    file: Path
    blows: list[Blow] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    """Workers that ended by themselves though they had been ready."""
    bad_ends: list[str] = field(default_factory=list)
    """Workers that did not leave in order after SIGTERM."""
    failed_starts: int = 0
    """Workers that did not come up, as they must not when there is no broker to be reached."""

    def note(self, what: str) -> None:
        """Write a line."""
        now = time.time()
        print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
        with self.file.open("a") as out:
            out.write(json.dumps({"at": now, "what": what}) + "\n")

    @contextmanager
    def blow(self, event: Event, what: str) -> Iterator[None]:
        """Note that something is done, until the block ends."""
        who = "broker" if event.slot is None else f"worker {event.slot}"
        self.note(f"{who}: {what}")
        blow = Blow(event.kind, event.slot, time.time())
        self.blows.append(blow)
        try:
            yield
        finally:
            blow.ended = time.time()
            self.note(f"{who}: {event.kind} is over")

    def counts(self) -> Counter[Kind]:
        """Return how often each kind was done."""
        return Counter(blow.kind for blow in self.blows)


class Actions:
    """Carries out events against the workers and the broker."""

    def __init__(self, broker: Broker, workers: Sequence[Worker], chronicle: Chronicle) -> None:
        self._broker = broker
        self._workers = workers
        self._chronicle = chronicle
        self._on_worker: dict[Kind, Callable[[Worker, Event], Awaitable[None]]] = {
            "kill": self._kill,
            "term": self._term,
            "zombie": self._zombie,
            "add": self._add,
            "remove": self._term,
            "blackhole": self._blackhole,
            "reset": self._reset,
            "latency": self._latency,
        }

    async def play(self, events: Sequence[Event]) -> None:
        """Let everything happen at its time; return when all is undone again."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for event in events:
                await asyncio.sleep(max(0.0, began + event.at_s - time.monotonic()))
                group.create_task(self._do(event))

    async def _do(self, event: Event) -> None:
        if event.slot is None:
            await self._broker_down(event)
            return
        worker = self._workers[event.slot]
        async with worker.busy:
            await self._on_worker[event.kind](worker, event)

    async def _broker_down(self, event: Event) -> None:
        with self._chronicle.blow(event, f"kill -9 for {event.lasts_s} s"):
            await self._broker.kill()
            await asyncio.sleep(event.lasts_s)
            await self._broker.start()

    async def _kill(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"kill -9, back in {event.lasts_s} s"):
            await worker.kill()
            await asyncio.sleep(event.lasts_s)
            worker.start()

    async def _term(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"SIGTERM, back {event.lasts_s} s after its end"):
            await self._leave(worker)
            await asyncio.sleep(event.lasts_s)
            worker.start()

    async def _add(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"added for {event.lasts_s} s"):
            worker.start()
            await asyncio.sleep(event.lasts_s)
            await self._leave(worker)

    async def _zombie(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"SIGSTOP for {event.lasts_s} s"):
            worker.signal(signal.SIGSTOP)
            await asyncio.sleep(event.lasts_s)
            worker.signal(signal.SIGCONT)

    async def _blackhole(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"the network swallows everything for {event.lasts_s} s"):
            worker.proxy.hold()
            await self._heal_after(worker, event.lasts_s)

    async def _reset(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"the network resets everything for {event.lasts_s} s"):
            worker.proxy.reset()
            await self._heal_after(worker, event.lasts_s)

    async def _latency(self, worker: Worker, event: Event) -> None:
        with self._chronicle.blow(event, f"the network takes {event.delay_ms} ms more each way for {event.lasts_s} s"):
            worker.proxy.delay_s = event.delay_ms / 1000
            await self._heal_after(worker, event.lasts_s)

    async def _heal_after(self, worker: Worker, seconds: float) -> None:
        await asyncio.sleep(seconds)
        worker.proxy.heal()

    async def _leave(self, worker: Worker) -> None:
        began, was_ready = time.monotonic(), worker.ready
        in_order = await worker.term()
        took = time.monotonic() - began
        self._chronicle.note(f"worker {worker.slot}: ended in {took:.1f} s" + ("" if in_order else ", NOT in order"))
        if was_ready and not in_order:
            self._chronicle.bad_ends.append(worker.log.name)


async def supervise(workers: Sequence[Worker], chronicle: Chronicle) -> None:
    """Start workers again that ended by themselves, as a supervisor would, and note it; until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        ended = [worker for worker in workers if worker.wanted and not worker.alive]
        for worker in ended:
            _note_end(worker, chronicle)
        if ended:
            await asyncio.sleep(RESTART_S)
        for worker in ended:
            if worker.wanted and not worker.alive:  # else it was stopped, or started, meanwhile
                worker.start()


def _note_end(worker: Worker, chronicle: Chronicle) -> None:
    died = worker.was_ready
    what = "ENDED BY ITSELF" if died else "did not come up"
    chronicle.note(f"worker {worker.slot}: {what}: {_last_words(worker.log)} ({worker.log.name})")
    if died:
        chronicle.deaths.append(worker.log.name)
    else:
        chronicle.failed_starts += 1


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "(it said nothing)"
