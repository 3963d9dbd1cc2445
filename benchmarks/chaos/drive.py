"""One chaos run from the start of the broker to the verdict; whatever it started has ended when it is over, however it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos import provider
from benchmarks.chaos.actions import Actions, Chronicle, supervise
from benchmarks.chaos.broker import Broker, some_ports
from benchmarks.chaos.feeder import Feeder, Published
from benchmarks.chaos.figures import Call
from benchmarks.chaos.judge import audit_all
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.schedule import Event
from benchmarks.chaos.waiting import until
from benchmarks.chaos.watcher import Result, Watcher
from benchmarks.chaos.workers import Site, Worker
from streams.audit.report import Report

WORKFLOWS = ("chaos-diamond", "chaos-chain")
FILES = tuple(Path(__file__).parent / "workflows" / name for name in ("diamond.yaml", "chain.yaml"))
PARTITIONS = 8
UP_WITHIN_S = 120
QUIET_S = 60.0
"""Without a new result for so long, nothing is to come any more."""

AFTERMATH_S = 3.0
"""How long to look out for second results once the first ones are all there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run."""

    events: Sequence[Event]
    seed: int
    seconds: float
    rate: float
    workers: int
    runs: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that was seen."""

    published: Published
    results: dict[str, list[Result]]
    chronicle: Chronicle
    calls: Sequence[Call]
    reports: dict[str, Report]
    folder: Path


async def drive(wanted: Wanted, folder: Path) -> Outcome:
    """Run it with everything in `folder`."""
    chronicle = Chronicle(folder / "chronicle.jsonl")
    async with AsyncExitStack() as stack:
        _quiet(stack)
        broker, workers, model = await _set_up(stack, wanted, folder)
        chronicle.note(f"broker at {broker.bootstrap}, {wanted.workers} workers start")
        started = workers[: wanted.workers]
        for worker in started:
            worker.start()
        if not await until(lambda: all(worker.ready for worker in started), UP_WITHIN_S):
            raise TimeoutError(f"not all workers are ready after {UP_WITHIN_S} s")
        _in_background(stack, supervise(workers, chronicle))
        watcher = Watcher(broker.bootstrap, WORKFLOWS)
        _in_background(stack, watcher.run())
        feeder = Feeder(broker.bootstrap, WORKFLOWS)
        chronicle.note("chaos begins")
        async with asyncio.TaskGroup() as group:
            group.create_task(feeder.run(wanted.rate, wanted.seconds, wanted.runs))
            group.create_task(Actions(broker, workers, chronicle).play(wanted.events))
        chronicle.note(
            f"chaos is over, {len(feeder.published.sent)} runs published, {len(watcher.results)} have results"
        )
        if not await _until_quiet(feeder.published, watcher):
            chronicle.note("some runs have no result, and nothing comes any more: workers say what they wait for")
            for worker in workers:
                worker.signal(signal.SIGUSR1)
        chronicle.note("quiet; auditing")
        reports = await audit_all(broker.bootstrap, WORKFLOWS)
        await _dismiss(workers, chronicle)
        return Outcome(feeder.published, dict(watcher.results), chronicle, await model.calls(), reports, folder)


def _quiet(stack: AsyncExitStack) -> None:
    """Hear nothing of the driver's own clients: the broker goes on purpose."""
    clients = logging.getLogger("aiokafka")
    stack.callback(clients.setLevel, clients.level)
    clients.setLevel(logging.CRITICAL)


async def _set_up(
    stack: AsyncExitStack, wanted: Wanted, folder: Path
) -> tuple[Broker, list[Worker], provider.Provider]:
    listeners = some_ports(wanted.workers + 1)
    proxies = [await stack.enter_async_context(Proxy(listener)) for listener in listeners]
    broker = Broker(folder / "kafka-home", {at: proxy.port for at, proxy in zip(listeners, proxies, strict=True)})
    stack.push_async_callback(broker.stop)
    await broker.start()
    model = await provider.start(folder, wanted.seed)
    stack.push_async_callback(model.stop)
    site = Site(folder, model.base_url, FILES, PARTITIONS)
    workers = [Worker(slot, site, proxy) for slot, proxy in enumerate(proxies)]
    for worker in workers:
        stack.push_async_callback(worker.kill)
    return broker, workers, model


def _in_background(stack: AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


async def _until_quiet(published: Published, watcher: Watcher) -> bool:
    """Wait until every run has a result, or no result has come for a while; say whether they have."""
    seen, last = watcher.seen, time.monotonic()
    while time.monotonic() - last < QUIET_S:
        if published.sent.keys() <= watcher.results.keys():
            await asyncio.sleep(AFTERMATH_S)
            return True
        await asyncio.sleep(0.5)
        if watcher.seen > seen:
            seen, last = watcher.seen, time.monotonic()
    return False


async def _dismiss(workers: Sequence[Worker], chronicle: Chronicle) -> None:
    running = [worker for worker in workers if worker.alive]
    ended = await asyncio.gather(*(worker.term() for worker in running))
    chronicle.bad_ends += [worker.log.name for worker, well in zip(running, ended, strict=True) if not well]
