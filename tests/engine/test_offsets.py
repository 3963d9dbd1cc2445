"""Offsets to commit: never back, and never those of partitions that moved on."""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError

from streams.engine.offsets import Offsets

PLACE = TopicPartition("wf.output", 0)


class Group:
    """Stands for the consumer: what was committed, and what the next commit raises."""

    def __init__(self) -> None:
        self.committed: list[dict[TopicPartition, int]] = []
        self.error: Exception | None = None

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.committed.append(offsets)


def offsets() -> tuple[Offsets, Any]:
    group = Group()
    return Offsets(group, 200, lambda: 0), group  # type: ignore[arg-type]


async def test_a_position_never_goes_back() -> None:
    """A takeover's end is known only after results were written behind it."""
    known, group = offsets()
    known.applied(PLACE, 15)
    await known.commit()
    known.applied(PLACE, 7)
    await known.commit()
    assert group.committed == [{PLACE: 15}]


async def test_after_a_rebalance_it_begins_anew() -> None:
    known, group = offsets()
    known.applied(PLACE, 15)
    known.forget()
    known.applied(PLACE, 7)
    await known.commit()
    assert group.committed == [{PLACE: 7}]


async def test_without_a_broker_it_is_committed_with_the_next() -> None:
    known, group = offsets()
    known.applied(PLACE, 7)
    group.error = KafkaConnectionError()
    await known.commit()
    await known.commit()
    assert group.committed == [{PLACE: 7}]


async def test_what_moved_is_the_next_owners() -> None:
    known, group = offsets()
    known.applied(PLACE, 7)
    group.error = CommitFailedError()
    await known.commit()
    await known.commit()
    assert group.committed == []
