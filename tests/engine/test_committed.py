"""A coordinator that cannot say what was committed is not one that says nothing was: that once meant the beginning."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, UnknownTopicOrPartitionError

from streams.engine.committed import committed_of

A0, A1 = TopicPartition("a", 0), TopicPartition("a", 1)


def consumer(topics: list[Any], error_code: int = 0) -> Any:
    """Return what `committed_of` sees of a consumer; the answers are those of OffsetFetch v3."""

    async def known() -> None:
        return None

    async def send(request: Any) -> Any:
        return SimpleNamespace(error_code=error_code, topics=topics)

    return SimpleNamespace(_coordinator=SimpleNamespace(ensure_coordinator_known=known, _send_req=send))


async def test_offsets_and_places_without_one() -> None:
    answer = [("a", [(0, 7, "", 0), (1, -1, "", 0)])]
    assert await committed_of(consumer(answer), "g", [A0, A1]) == {A0: 7, A1: None}


@pytest.mark.parametrize(
    ("topics", "code", "error"),
    [
        ([], 14, GroupLoadInProgressError),
        ([], 0, GroupCoordinatorNotAvailableError),
        ([("a", [(0, -1, "", 3), (1, -1, "", 0)])], 0, UnknownTopicOrPartitionError),
    ],
)
async def test_what_it_cannot_say_is_an_error(topics: list[Any], code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await committed_of(consumer(topics, code), "g", [A0, A1])
