"""The move as it is noted in `penstock.plans`: workers keep away while it is there, and whoever comes after a crash goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer

from penstock.client import reading
from streams.engine.plans import Notes
from topology.naming import plans_topic

Phase = Literal["copying", "replacing"]


@dataclass(frozen=True, slots=True)
class Moving:
    """A topic that is moved: its settings and copies, as it had them, and what it is for."""

    name: str
    role: str
    config: Mapping[str, str]
    copies: int


@dataclass(frozen=True, slots=True)
class Move:
    """A move under way. While `copying` the topics are as they were; while `replacing` their records stand in the copies, whole."""

    workflow: str
    partitions: int
    phase: Phase
    topics: tuple[Moving, ...]
    done: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as it is noted."""
        return asdict(self)


def move_of(noted: Mapping[str, Any]) -> Move:
    """Return a move that was noted."""
    topics = tuple(Moving(**topic) for topic in noted["topics"])
    return Move(noted["workflow"], noted["partitions"], noted["phase"], topics, tuple(noted["done"]))


async def notes_of(reader: AIOKafkaConsumer, workflow: str, topics: Mapping[str, int]) -> Notes:
    """Return what is noted of a workflow."""
    notes = Notes(workflow)
    if plans_topic() in topics:
        async for record in reading.to_end(reader, reading.places_of(plans_topic(), 1)):
            notes.take(record)
    return notes
