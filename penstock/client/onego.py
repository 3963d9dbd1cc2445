"""One go: a worker in this process, inputs published, results awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from penstock.client import connections, publishing
from penstock.client.connections import CLOSE_WITHIN_S
from penstock.client.deleting import delete_workflow
from penstock.client.publishing import Input
from penstock.client.results import Outcomes, Result
from penstock.client.workflows import topics_on
from streams.bootstrap import engine_of
from streams.engine.attempt import Node
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.errors import EngineFailure
from streams.nodes.resources import Resources
from topology.naming import input_topic
from topology.plan import WorkflowPlan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Go:
    """What to run, on what, and for how long; `instead` are nodes that others do."""

    plan: WorkflowPlan
    config: EngineConfig
    inputs: Sequence[Input]
    timeout_s: float
    fresh: bool
    instead: Mapping[str, Node] = field(default_factory=dict)


async def one_go(go: Go, resources: Resources, ended: Callable[[Result], None]) -> list[str]:
    """Run every input, telling `ended` of each run as it ends; return the ids of the runs that did not end in time."""
    try:
        if go.fresh:
            await delete_workflow(go.plan, go.config)
        engine = engine_of(go.plan, resources, go.config, go.instead)
        await engine.prepare()
        topics = await topics_on(go.config)
        async with connections.reader(go.config) as reader:
            outcomes = Outcomes(reader, go.plan.id, [one.run_id for one in go.inputs])
            await outcomes.begin(topics)
            await _work(go, engine, outcomes, ended)
        return list(outcomes.missing)
    finally:
        await resources.aclose()


async def _work(go: Go, engine: Engine, outcomes: Outcomes, ended: Callable[[Result], None]) -> None:
    working = asyncio.create_task(engine.run())
    sending = asyncio.create_task(_publish(go))
    following = asyncio.create_task(_follow(outcomes, ended))
    try:
        async with asyncio.timeout(go.timeout_s):
            await first_of(following, working, sending)
    except TimeoutError:
        pass
    finally:
        await put_away(engine, working, sending, following)


async def _publish(go: Go) -> None:
    inputs = await publishing.put_away(go.inputs, go.plan.claim_check, go.config.claims)
    async with connections.producer(go.config) as producer:
        async for _ in publishing.publish(producer, input_topic(go.plan.id), inputs):
            pass


async def _follow(outcomes: Outcomes, ended: Callable[[Result], None]) -> None:
    async for result in outcomes.follow():
        ended(result)


async def first_of(aim: asyncio.Task[Any], *helpers: asyncio.Task[Any]) -> None:
    """Wait for `aim`; raise at once what one of its helpers raises."""
    waiting = {aim, *helpers}
    while not aim.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            raise_of(task)


def raise_of(task: asyncio.Task[Any]) -> None:
    """Raise what ended a task; one that nobody cancelled ended so when aiokafka's clients lost their broker."""
    if task.cancelled():
        raise EngineFailure("the worker's connection to Kafka broke: is the broker gone?")
    task.result()


async def put_away(engine: Engine, working: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    """Stop the worker in good order; what was raised while it stopped is no news any more, but logged."""
    engine.stop()
    for task in others:
        task.cancel()
    await asyncio.wait({working, *others}, timeout=engine.config.drain_timeout_s + CLOSE_WITHIN_S)
    if not working.done():  # its broker is gone
        working.cancel()
        await asyncio.wait({working}, timeout=CLOSE_WITHIN_S)
        return
    error = None if working.cancelled() else working.exception()
    if error is not None:
        log.info("the worker did not stop in good order", error=repr(error))
