"""Which inputs a replay means: offsets of the input topic, by time or by offset; one that retention has eaten into is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from penstock.client import reading
from penstock.client.errors import WindowGone
from penstock.client.times import begin_of
from streams.core.dead_letter import iso


@dataclass(frozen=True, slots=True)
class Offset:
    """An offset, meant in every partition of the input topic."""

    at: int


Bound = Offset | int | None
"""An offset, epoch milliseconds, or no bound."""


def bound_of(text: str | None, now_ms: int) -> Bound:
    """Return the bound that `text` means: an offset, or what `begin_of` takes, `earliest` for none, `latest` for now; ValueError if neither."""
    if text is None:
        return None
    if text.isdecimal():
        return Offset(int(text))
    try:
        found = begin_of(text, now_ms)
    except ValueError as error:
        raise ValueError(f"{error}; or an OFFSET, meant in every partition of the input topic") from None
    return now_ms if found == "latest" else None if found == "earliest" else found


@dataclass(frozen=True, slots=True)
class Window:
    """From where to where of each partition; the end is not part of it."""

    starts: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]

    def has(self, topic: str, partition: int, offset: int) -> bool:
        """Say whether a position is inside."""
        place = TopicPartition(topic, partition)
        return place in self.starts and self.starts[place] <= offset < self.ends[place]


async def window(reader: AIOKafkaConsumer, topic: str, partitions: int, start: Bound, end: Bound) -> Window:
    """Return the window of `topic`.

    Raises:
        WindowGone: some of it was deleted, and which part is left.
    """
    places = reading.places_of(topic, partitions)
    begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    starts = await _offsets(reader, places, start, begins, ends)
    found = Window(starts, await _offsets(reader, places, end, ends, ends))
    eaten = [place for place in places if begins[place] > 0 and _is_eaten(start, starts[place], begins[place])]
    gone = [
        place for place in eaten if isinstance(start, Offset) or await _is_older(reader, place, begins[place], start)
    ]
    if gone:
        raise WindowGone(await _what_is_left(reader, gone[0], begins))
    return found


def _is_eaten(start: Bound, at: int, begin: int) -> bool:
    return at < begin if isinstance(start, Offset) else start is not None and at <= begin


async def _is_older(reader: AIOKafkaConsumer, place: TopicPartition, begin: int, start: Bound) -> bool:
    """Say whether a time is before the first record that is left: what stood between the two nobody knows."""
    first = await _timestamp(reader, place, begin)
    return first is None or (isinstance(start, int) and start < first)


async def _offsets(
    reader: AIOKafkaConsumer,
    places: list[TopicPartition],
    bound: Bound,
    unbound: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    match bound:
        case None:
            return dict(unbound)
        case Offset():
            return {place: min(bound.at, ends[place]) for place in places}
        case _:
            times = await reader.offsets_for_times(dict.fromkeys(places, bound))
            return {place: ends[place] if (at := times.get(place)) is None else at.offset for place in places}


async def _what_is_left(reader: AIOKafkaConsumer, place: TopicPartition, begins: Mapping[TopicPartition, int]) -> str:
    firsts = [await _timestamp(reader, each, begin) for each, begin in begins.items() if begin > 0]
    known = [first for first in firsts if first is not None]
    since = f"--from {iso(max(known))}" if known else "nothing of it"
    return (
        f"{place.topic}/{place.partition}: records up to offset {begins[place] - 1} were deleted by retention, and the replay "
        f"asks for some of them. Whole is {since}, or --from {max(begins.values())}; --from earliest takes whatever is left"
    )


async def _timestamp(reader: AIOKafkaConsumer, place: TopicPartition, offset: int) -> int | None:
    """Return when the record at `offset`, the first that is left, was written; None if there is none."""
    reader.assign([place])
    if (await reader.end_offsets([place]))[place] <= offset:
        return None
    reader.seek(place, offset)
    async for record in reading.forever(reader):
        return int(record.timestamp)
    return None
