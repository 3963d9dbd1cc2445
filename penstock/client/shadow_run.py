"""A shadow at work in this process: fed with runs that production has ended, its results told beside production's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from penstock.client import connections, reading
from penstock.client.onego import first_of, put_away
from penstock.client.publishing import Input, publish
from penstock.client.results import Outcomes, Result, result_in
from penstock.client.shadow_answers import Answers, Reusing, Stub
from penstock.client.shadow_feed import POLL_MS, Ended, Meant, Production
from penstock.client.workflows import Workflow, topics_on
from streams.bootstrap import engine_of
from streams.engine.attempt import Node
from streams.engine.config import EngineConfig
from streams.nodes import Resources, build
from topology.naming import input_topic, output_topic
from topology.plan import WorkflowPlan

Told = Callable[[Result, Result], None]
"""Takes production's result and the shadow's, of one run."""

WINDOW = 500
"""Runs published at once."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """What runs beside `workflow`, with the nodes that answer what production recorded; `rate` is runs a second at most."""

    workflow: Workflow
    plan: WorkflowPlan
    reaching: Collection[str] = ()
    reuse: bool = False
    rate: float | None = None

    @property
    def heard(self) -> frozenset[str]:
        """The nodes of production whose journals are needed."""
        return frozenset((*self.reaching, *(self.workflow.nodes if self.reuse else ())))

    def instead(self, answers: Answers, resources: Resources) -> dict[str, Node]:
        """Return the nodes that take what production has."""
        found: dict[str, Node] = {node: Stub(answers) for node in self.reaching}
        for node in self.plan.nodes if self.reuse else ():
            if node.llm is not None and node.executes:
                found[node.id] = Reusing(node, build(node, self.plan.id, resources), answers)
        return found


async def results_of(
    reader: AIOKafkaConsumer, workflow_id: str, topics: Mapping[str, int], run_ids: Collection[str]
) -> dict[str, Result]:
    """Return the results that a workflow has of `run_ids`, the last of each."""
    topic = output_topic(workflow_id)
    found: dict[str, Result] = {}
    async for record in reading.to_end(reader, reading.places_of(topic, topics.get(topic, 0))):
        result = result_in(record)
        if result is not None and result.get("run_id") in run_ids:
            found[result["run_id"]] = result
    return found


async def run_shadow(shadow: Shadow, meant: Meant, config: EngineConfig, resources: Resources, told: Told) -> None:
    """Run the shadow until every run that is meant has ended in it: for ever, if it is live. What ended before is told, too."""
    async with (
        connections.reader(config) as production,
        connections.reader(config) as journals,
        connections.reader(config) as results,
        connections.producer(config) as producer,
    ):
        answers = Answers(journals, shadow.workflow, shadow.heard, meant, config.claims)
        engine = engine_of(shadow.plan, resources, config, shadow.instead(answers, resources))
        await engine.prepare()
        topics = await topics_on(config)
        done = await results_of(results, shadow.plan.id, topics, meant.past)
        await answers.begin()
        outcomes = Outcomes(results, shadow.plan.id, ())
        await outcomes.begin(topics)
        at_work = _AtWork(shadow, meant, answers, told, done)
        working = asyncio.create_task(engine.run())
        feeding = asyncio.create_task(at_work.feed(Production(production, shadow.workflow, meant), producer, topics))
        following = asyncio.create_task(at_work.follow(results, outcomes, feeding))
        try:
            await first_of(following, working, feeding)
        finally:
            await put_away(engine, working, feeding, following)


@dataclass(slots=True)
class _AtWork:
    """The runs under way: `before` has production's results of those in the shadow, `done` the shadow's of those not asked for yet."""

    shadow: Shadow
    meant: Meant
    answers: Answers
    told: Told
    done: dict[str, Result]
    before: dict[str, Result] = field(default_factory=dict)
    due: float = 0.0

    async def feed(self, production: Production, producer: AIOKafkaProducer, topics: Mapping[str, int]) -> None:
        """Publish every run that production has ended and the shadow has not."""
        size = WINDOW if self.shadow.rate is None else 1
        async for ended in production.ended(topics):
            await self.answers.read_on()
            for first in range(0, len(ended), size):
                going = [each for each in ended[first : first + size] if self._is_going(each)]
                if going:
                    await self._pace(len(going))
                    inputs = [Input(each.run_id, each.input) for each in going]
                    async for _ in publish(producer, input_topic(self.shadow.plan.id), inputs):
                        pass

    def _is_going(self, ended: Ended) -> bool:
        """Say whether a run is to be published: not if an earlier call of the same command had its result, or just now has."""
        after = self.done.pop(ended.run_id, None)
        if after is not None:
            self._end(ended.result, after)
            return False
        self.before[ended.run_id] = ended.result
        return True

    async def _pace(self, runs: int) -> None:
        if self.shadow.rate is not None:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self.due - now)
            self.due = max(self.due, now) + runs / self.shadow.rate

    async def follow(self, reader: AIOKafkaConsumer, outcomes: Outcomes, feeding: asyncio.Task[None]) -> None:
        """Tell of each run as it ends."""
        while not feeding.done() or self.before:
            for records in (await reader.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    result = outcomes.read(record)
                    if result is not None and self.meant.wants(result["run_id"]):
                        self._ended(result)

    def _ended(self, result: Result) -> None:
        before = self.before.pop(result["run_id"], None)
        if before is None:  # published by an earlier call
            self.done[result["run_id"]] = result
        else:
            self._end(before, result)

    def _end(self, before: Result, after: Result) -> None:
        run_id = after["run_id"]
        self.meant.over.add(run_id)
        self.answers.forget(run_id)
        self.told(before, after)
