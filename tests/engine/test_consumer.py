"""Questions about offsets: of many topics in one request, and past a fetch that waits."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.protocol.offset import OffsetRequest

from streams.engine.clients import connected_admin, reader_of
from streams.engine.config import EngineConfig
from tests.kafka_tools import publish, unique

pytestmark = pytest.mark.kafka


async def created(config: EngineConfig, count: int) -> list[TopicPartition]:
    """Create topics, and wait until all of them are there."""
    places = [TopicPartition(unique("asked"), 0) for _ in range(count)]
    async with connected_admin(config) as admin, reader_of(config) as reader:
        await admin.create_topics([NewTopic(place.topic, 1, 1) for place in places])
        await reader.end_offsets(places)
    return places


async def test_topics_it_has_not_met_are_one_question(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = EngineConfig(bootstrap)
    places = await created(config, 7)
    await publish(bootstrap, places[3].topic, [b"x"])
    async with reader_of(config) as reader:
        asked = []
        send, metadata = reader._client.send, reader._client._metadata_update

        async def counted(node: int, request: Any, **group: Any) -> Any:
            asked.append(type(request))
            return await send(node, request, **group)

        async def updated(*args: Any) -> Any:
            asked.append("metadata")
            return await metadata(*args)

        monkeypatch.setattr(reader._client, "send", counted)
        monkeypatch.setattr(reader._client, "_metadata_update", updated)
        assert await reader.end_offsets(places) == {place: int(place is places[3]) for place in places}
        assert asked == ["metadata", OffsetRequest]


async def test_it_is_answered_while_a_fetch_waits(bootstrap: str) -> None:
    config = EngineConfig(bootstrap)
    (place,) = await created(config, 1)
    await publish(bootstrap, place.topic, [b"x"])
    async with reader_of(config, fetch_max_wait_ms=120_000, request_timeout_ms=10_000) as reader:
        reader.assign([place])
        assert (await reader.getone()).value == b"x"
        assert await reader.getmany(timeout_ms=100) == {}  # the fetch that finds nothing is on its way
        assert await reader.end_offsets([place]) == {place: 1}
