"""Records come once and in order, whether a fetch or the acknowledgement is quicker."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import loopback
from streams.engine.inflow import Batch, Inflow
from streams.engine.log import Outgoing
from streams.engine.loopback import Loopback
from streams.engine.positions import Positions

TOPICS = ("wf.run", "wf.a")
PLACES = [TopicPartition(topic, partition) for topic in TOPICS for partition in (0, 1)]
OTHERS = TopicPartition("wf.a", 9)
"""A place of another worker."""


@dataclass
class Fetched:
    """A record as a fetch brings it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Broker:
    """A log in memory; as a producer it acknowledges when told to, as a consumer it brings what stands behind its positions when told to."""

    records: defaultdict[TopicPartition, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    at: dict[TopicPartition, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    acknowledges: asyncio.Event = field(default_factory=asyncio.Event)
    brings: asyncio.Event = field(default_factory=asyncio.Event)
    looks_up: asyncio.Event | None = None
    """Where a registry is asked about what was fetched: the positions have moved, and nothing is in hand yet."""
    fetched: int = 0

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        offsets = [self.write(TopicPartition(r.topic, r.partition or 0), r.value or b"") for r in records]
        await self.acknowledges.wait()
        return offsets

    def write(self, place: TopicPartition, value: bytes) -> int:
        self.records[place].append(value)
        return len(self.records[place]) - 1

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Fetched]]:
        await self.brings.wait()
        batch = {}
        for place, at in self.at.items():
            if found := self.records[place][at : at + max_records]:
                topic, partition = place
                batch[place] = [Fetched(topic, partition, at + n, b"k", value) for n, value in enumerate(found)]
                self.at[place] += len(found)
                self.fetched += len(found)
        if self.looks_up is not None:
            await self.looks_up.wait()
        return batch

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self.at[place]


class World:
    """An inflow on that broker; `handled` is what came, by place."""

    def __init__(self, most: int = 3) -> None:
        self.broker: Any = Broker()
        self.positions = Positions(self.broker, "group", "wf.run", None)
        self.positions._next = dict.fromkeys(PLACES, 0)
        self.log = Loopback(self.broker, TOPICS, self.positions.next_at, lambda: 0)
        self.inflow = Inflow(self.broker, self.positions, self.log, 100, most)
        self.handled: defaultdict[TopicPartition, list[bytes]] = defaultdict(list)
        self.writing: list[asyncio.Task[Any]] = []

    def append(self, *places: TopicPartition) -> None:
        """Append one record of this worker to each."""
        records = [Outgoing(place.topic, place.partition, b"k", self._value(place)) for place in places]
        self.writing.append(asyncio.create_task(self.log.append(records)))

    def others_append(self, place: TopicPartition) -> None:
        self.broker.write(place, self._value(place))

    def _value(self, place: TopicPartition) -> bytes:
        return f"{place.topic}/{place.partition}/{len(self.broker.records[place])}".encode()

    async def let(self, event: asyncio.Event) -> None:
        """Let what waits for it happen."""
        event.set()
        for _ in range(6):
            await asyncio.sleep(0)
        event.clear()

    async def take(self, but: str | None = None) -> Batch:
        """Take a batch and handle it."""
        batch = self.inflow.take(but)
        await self.positions.check(batch)
        for place, records in batch.items():
            self.handled[place] += [record.value or b"" for record in records]
        return batch

    async def end(self) -> None:
        """Have all come."""
        for _ in range(100):
            await self.let(self.broker.acknowledges)
            await self.inflow.wait(0)
            await self.let(self.broker.brings)
            if self.broker.looks_up is not None:
                await self.let(self.broker.looks_up)
            await self.take()
        await self.inflow.drop()
        await asyncio.gather(*self.writing)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.sampled_from([*PLACES, OTHERS]), min_size=1, max_size=4)),
        st.tuples(st.just("others"), st.sampled_from(PLACES)),
        st.tuples(st.sampled_from(["acknowledge", "bring", "look up", "wait"]), st.none()),
        st.tuples(st.sampled_from(["take", "take but run", "take over"]), st.none()),
    ),
    max_size=40,
)


@given(STEPS, st.integers(1, 4), st.booleans())
def test_each_record_comes_once_and_in_order(steps: list[tuple[str, Any]], remembered: int, registry: bool) -> None:
    async def play() -> None:
        world = World()
        world.broker.looks_up = asyncio.Event() if registry else None
        for step, what in steps:
            match step:
                case "append":
                    world.append(*what)
                    await asyncio.sleep(0)
                case "others":
                    world.others_append(what)
                case "acknowledge":
                    await world.let(world.broker.acknowledges)
                case "bring":
                    await world.let(world.broker.brings)
                case "look up" if registry:
                    await world.let(world.broker.looks_up)
                case "wait":
                    await world.inflow.wait(0)
                case "take":
                    await world.take()
                case "take but run":
                    await world.take("wf.run")
                case "take over":
                    await world.inflow.drop()
                    for place in PLACES:  # as `Positions.take_over` has it from what was committed
                        world.broker.seek(place, len(world.handled[place]))
        await world.end()
        assert {place: world.handled[place] for place in PLACES} == {
            place: world.broker.records[place] for place in PLACES
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loopback, "REMEMBERED", remembered)
        asyncio.run(play())


async def test_a_record_of_its_own_is_there_when_it_is_acknowledged_and_not_fetched_again() -> None:
    world, place = World(), PLACES[0]
    world.append(place)
    waiting = asyncio.create_task(world.inflow.wait(60_000))
    await world.let(world.broker.acknowledges)
    await waiting
    (record,) = (await world.take())[place]
    assert (record.topic, record.partition, record.offset, record.value) == (*place, 0, b"wf.run/0/0")
    await world.let(world.broker.brings)
    assert await world.take() == {}
    assert world.broker.fetched == 0
    assert await world.inflow.reached(place) == 1


async def test_what_was_handled_is_dropped_when_a_fetch_that_took_longer_brings_it() -> None:
    world, place = World(), PLACES[0]
    world.broker.looks_up = asyncio.Event()
    world.append(place)
    await world.inflow.wait(0)
    await world.let(world.broker.brings)
    await world.let(world.broker.acknowledges)
    assert [record.offset for record in (await world.take())[place]] == [0]
    world.others_append(place)
    await world.let(world.broker.looks_up)
    assert world.broker.fetched == 1
    assert await world.take() == {}
    await world.inflow.wait(0)
    await world.let(world.broker.brings)
    await world.let(world.broker.looks_up)
    assert [record.offset for record in (await world.take())[place]] == [1]


async def test_what_others_wrote_before_it_comes_first() -> None:
    world, place = World(), PLACES[0]
    world.others_append(place)
    world.append(place)
    await world.let(world.broker.acknowledges)
    assert not world.log.arrived.done()
    assert await world.take() == {}
    await world.inflow.wait(0)
    await world.let(world.broker.brings)
    assert [record.offset for record in (await world.take())[place]] == [0, 1]


async def test_nothing_of_a_paused_topic_nor_of_another_worker_s_partition() -> None:
    world = World()
    world.append(PLACES[0], PLACES[2], OTHERS)
    await world.let(world.broker.acknowledges)
    assert set(await world.take(but="wf.run")) == {PLACES[2]}
    assert not world.log.arrived.done()
    assert set(await world.take()) == {PLACES[0]}


async def test_a_fetch_that_fails_fails_who_takes_it() -> None:
    world = World()

    async def getmany(**_: int) -> Any:
        raise ValueError("a defect")

    world.broker.getmany = getmany
    await world.inflow.wait(60_000)
    with pytest.raises(ValueError, match="a defect"):
        world.inflow.take()


async def test_where_a_fetch_is_under_way_only_what_was_handled_counts() -> None:
    """Its position may be ahead of what is in hand."""
    world, place = World(), PLACES[0]
    world.others_append(place)
    await world.inflow.wait(0)
    await world.let(world.broker.brings)
    assert await world.broker.position(place) == 1
    assert await world.inflow.reached(place) == 0
    await world.take()
    assert await world.inflow.reached(place) == 1
    await world.inflow.drop()
