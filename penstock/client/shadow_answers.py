"""What production's journals have of the runs that a shadow runs too: what its effects gave, and what its models answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer

from penstock.client import reading
from penstock.client.shadow_feed import Meant
from penstock.client.workflows import Workflow
from schemas.claims import value_of
from schemas.codec import CodecError, decode
from schemas.records import Json, Recorded, Succeeded
from streams.claims.claims import ClaimProblem, Claims
from streams.core.outcome import Done, NodeInput, Outcome
from streams.core.prompt import Prompt
from streams.engine.outside import failed
from streams.nodes import Node
from topology.naming import journal_topic
from topology.plan import NodePlan
from topology.templates import TemplateError


@dataclass(slots=True)
class _OfRun:
    outputs: dict[str, Json] = field(default_factory=dict)
    answers: dict[str, Recorded] = field(default_factory=dict)


class Answers:
    """Reads the journals of `nodes` of production as far as they are written: what they gave, and what models answered in any epoch.

    Only of runs that are `meant`. What was put into a claim store is read there.
    """

    def __init__(
        self,
        reader: AIOKafkaConsumer,
        workflow: Workflow,
        nodes: Collection[str],
        meant: Meant,
        claims: Claims | None = None,
    ) -> None:
        self._reader = reader
        self._claims = claims or Claims()
        self._meant = meant
        self._places = [
            place
            for node in sorted(set(nodes) & set(workflow.nodes))
            for place in reading.places_of(journal_topic(workflow.id, node), workflow.partitions)
        ]
        self._of: defaultdict[str, _OfRun] = defaultdict(_OfRun)

    async def begin(self) -> None:
        """Go to the first record that may be of a run that is meant."""
        if self._places:
            await reading.begin(self._reader, self._places, self._meant.since)

    async def read_on(self) -> None:
        """Read up to the ends as they are now: the result of a run stands after what its nodes wrote."""
        async for record in reading.on_to_end(self._reader, self._places):
            self._take(record.value)

    def forget(self, run_id: str) -> None:
        """Forget a run."""
        self._of.pop(run_id, None)

    async def output(self, run_id: str, node: str) -> Mapping[str, Any]:
        """Return what a node gave last, `{}` if nothing; raise `ClaimProblem` if it cannot be had any more."""
        known = self._of.get(run_id)
        given = None if known is None else known.outputs.get(node)
        return {} if given is None else await self.whole(given)

    async def whole(self, text: Json) -> Mapping[str, Any]:
        """Return the output that a record has, or claims; raise `ClaimProblem`, likewise."""
        return dict(await self._claims.whole(value_of(text)))

    def answer(self, run_id: str, request_hash: str) -> Recorded | None:
        """Return what a model answered to the very same, last if more than once."""
        known = self._of.get(run_id)
        return None if known is None else known.answers.get(request_hash)

    def _take(self, value: bytes | None) -> None:
        try:
            found = decode(value or b"")
        except CodecError:
            return  # somebody else's
        if not isinstance(found, Succeeded) or not self._meant.wants(found.run_id):
            return
        known = self._of[found.run_id]
        known.outputs[found.node] = found.output
        if found.request_hash is not None:
            answer = Recorded(found.request_hash, found.output, found.model, found.prompt_hash)
            known.answers[found.request_hash] = answer


@dataclass(frozen=True, slots=True)
class Stub:
    """A node that answers what production recorded of the run."""

    answers: Answers

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Answer."""
        try:
            return Done(await self.answers.output(node_input.run_id, node_input.node))
        except ClaimProblem as problem:
            return failed(problem)


class Reusing:
    """A node that takes production's answer where its model would be asked the very same, and asks it elsewhere."""

    def __init__(self, plan: NodePlan, asks: Node, answers: Answers) -> None:
        self._prompt = Prompt(plan)
        self._asks = asks
        self._answers = answers

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt."""
        try:
            prompt = self._prompt.messages(node_input.inputs, None)[0]
        except TemplateError:
            return await self._asks.execute(node_input)
        known = self._answers.answer(node_input.run_id, self._prompt.request_hash(prompt))
        if known is None:
            return await self._asks.execute(node_input)
        try:
            output = await self._answers.whole(known.output)
        except ClaimProblem as problem:
            return failed(problem)
        return Done(
            output,
            model=known.model,
            prompt_hash=known.prompt_hash,
            request_hash=known.request_hash,
            reused=True,
        )
