"""The consumer that all of ours are: aiokafka's, quick to say where partitions begin and end, and to fetch from many.

aiokafka asks about topics that it has not met one by one, 100 ms apart, and on the connection on which the broker holds
a fetch back until something comes. A worker's start and a takeover ask ten times, a command two or three times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from streams.fetch_session import FetchSessions


class _Apart(IntEnum):
    """A connection beside those of `ConnectionGroup`, made when it is first needed."""

    OFFSETS = 2


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose questions about offsets wait for nothing else.

    That of a group fetches in sessions; one without reads few topics, and not for long: a broker remembers some thousand sessions.
    """

    def __init__(self, *topics: str, **settings: Any) -> None:
        super().__init__(*topics, **settings)
        sessions = FetchSessions() if settings.get("group_id") is not None else None
        self._client.send = partial(_send, self._client.send, sessions)

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return what aiokafka's does."""
        found: dict[TopicPartition, int] = await super().beginning_offsets(self._met(partitions))
        return found

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return what aiokafka's does."""
        found: dict[TopicPartition, int] = await super().end_offsets(self._met(partitions))
        return found

    async def offsets_for_times(self, timestamps: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        """Return what aiokafka's does."""
        self._met(timestamps)
        found: dict[TopicPartition, Any] = await super().offsets_for_times(timestamps)
        return found

    def _met(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Ask for the metadata of all topics at once: what follows waits for it."""
        places = list(partitions)
        for topic in {place.topic for place in places}:
            self._client.add_topic(topic)
        return places


async def _send(
    send: Callable[..., Any],
    sessions: FetchSessions | None,
    node_id: int,
    request: Any,
    *,
    group: IntEnum = ConnectionGroup.DEFAULT,
) -> Any:
    if isinstance(request, OffsetRequest):
        return await send(node_id, request, group=_Apart.OFFSETS)
    if sessions is not None and isinstance(request, FetchRequest):
        return await sessions.fetch(send, node_id, request, group=group)
    return await send(node_id, request, group=group)
