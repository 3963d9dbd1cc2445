"""What a shadow runs: runs that production has ended, those of the past first, then others as they end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from penstock.client import reading
from penstock.client.errors import WindowGone
from penstock.client.results import Result, result_in
from penstock.client.workflows import Workflow
from schemas.codec import CodecError, decode, loads
from schemas.records import Json, RunRow, Started
from topology.expressions import Condition, ExpressionError
from topology.naming import output_topic, run_topic

POLL_MS = 200
SKEW_MS = 60_000
"""How far this machine's clock may be from those of workers and broker."""
EARLY = 1_000
"""Results that are kept though the start of their run was not read yet: it is in another topic, so it may come a little later."""


@dataclass(frozen=True, slots=True)
class Past:
    """A run that was there at the beginning."""

    row: RunRow
    input: Json


@dataclass(slots=True)
class Meant:
    """Which runs a shadow runs: `past` ones by id and, if it is `live`, those that begin later; `known` are all that were there.

    `over` are those that are done with.
    """

    past: Mapping[str, Past]
    known: Collection[str]
    began_at: int
    live: bool = False
    where: Condition | None = None
    over: set[str] = field(default_factory=set)

    def wants(self, run_id: str) -> bool:
        """Say whether something of a run may still be asked for."""
        return run_id not in self.over and (run_id in self.past or (self.live and run_id not in self.known))

    @property
    def since(self) -> int:
        """Where to begin to read what is of these runs, epoch milliseconds."""
        return max(0, min([self.began_at, *(past.row.started_at or 0 for past in self.past.values())]) - SKEW_MS)

    @property
    def left(self) -> int:
        """How many of the past are not done with."""
        return len(self.past.keys() - self.over)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that production has ended."""

    run_id: str
    input: Json
    result: Result


class Production:
    """Follows what production writes; it is read and nothing else."""

    def __init__(self, reader: AIOKafkaConsumer, workflow: Workflow, meant: Meant) -> None:
        self._reader = reader
        self._workflow = workflow
        self._meant = meant
        self._output = output_topic(workflow.id)
        self._inputs: dict[str, Json] = {run_id: past.input for run_id, past in meant.past.items()}
        self._early: OrderedDict[str, Result] = OrderedDict()

    async def ended(self, topics: Mapping[str, int]) -> AsyncIterator[list[Ended]]:
        """Yield the runs in the order in which they began, as far as they have ended, then others as they end.

        Raises:
            WindowGone: retention has deleted the results of some.
        """
        meant = self._meant
        places = reading.places_of(self._output, topics[self._output])
        await reading.begin(self._reader, places, meant.since)
        last: dict[str, Result] = {}
        async for record in reading.on_to_end(self._reader, places):
            result = result_in(record)
            if result is not None and result.get("run_id") in meant.past:
                known = last.get(result["run_id"])
                if known is None or known["epoch"] <= result["epoch"]:
                    last[result["run_id"]] = result
        yield self._past(last)
        if not meant.live and not self._inputs:
            return
        async for some in self._later(places):
            yield some
            if not meant.live and not self._inputs:
                return

    def _past(self, last: Mapping[str, Result]) -> list[Ended]:
        found, gone = [], []
        for run_id, past in self._meant.past.items():
            result = last.get(run_id)
            if result is not None and result["epoch"] >= past.row.epoch:
                found.append(Ended(run_id, self._inputs.pop(run_id), result))
            elif past.row.status != "running":
                gone.append(run_id)
        if gone:
            raise WindowGone(
                f"the results of {len(gone)} of {len(self._meant.past)} runs were deleted from {self._output} by retention, that "
                f"of run {gone[0]!r} among them, so there is nothing to compare with: narrow the replay with --from"
            )
        return found

    async def _later(self, outputs: list[TopicPartition]) -> AsyncIterator[list[Ended]]:
        """Yield what ends from now on, and without `live` only what is waited for."""
        positions = {place: await self._reader.position(place) for place in outputs}
        runs = reading.places_of(run_topic(self._workflow.id), self._workflow.partitions) if self._meant.live else []
        await reading.begin(self._reader, [*outputs, *runs], max(0, self._meant.began_at - SKEW_MS))
        for place, at in positions.items():
            self._reader.seek(place, at)
        while True:
            found = []
            for records in (await self._reader.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    ended = self._take(record)
                    if ended is not None:
                        found.append(ended)
            if found:
                yield found

    def _take(self, record: ConsumerRecord) -> Ended | None:
        if record.topic != self._output:
            return self._on_run(record.value)
        result = result_in(record)
        if result is None or not self._meant.wants(run_id := str(result.get("run_id"))):
            return None
        if run_id in self._inputs:
            return Ended(run_id, self._inputs.pop(run_id), result)
        self._early[run_id] = result
        if len(self._early) > EARLY:
            self._early.popitem(last=False)
        return None

    def _on_run(self, value: bytes | None) -> Ended | None:
        """Take a record of the run's journal: the first start of a run has the input that production took."""
        try:
            found = decode(value or b"")
        except CodecError:
            return None
        run_id = found.run_id if isinstance(found, Started) else None
        if run_id is None or not isinstance(found, Started) or run_id in self._inputs or not self._is_new(run_id):
            return None
        if not self._fits(found.input):
            self._meant.over.add(run_id)
            return None
        result = self._early.pop(run_id, None)
        if result is not None:
            return Ended(run_id, found.input, result)
        self._inputs[run_id] = found.input
        return None

    def _is_new(self, run_id: str) -> bool:
        return run_id not in self._meant.known and self._meant.wants(run_id)

    def _fits(self, text: Json) -> bool:
        where = self._meant.where
        try:
            return where is None or bool(where.evaluate({"input": loads(text)}))
        except ExpressionError:
            return False
