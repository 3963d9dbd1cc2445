"""Which inputs a replay means, and that one that retention has eaten into is refused."""

from __future__ import annotations

import time

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from penstock.client import connections
from penstock.client.errors import WindowGone
from penstock.client.replay_window import Bound, Offset, Window, bound_of, window
from streams.engine.config import EngineConfig
from tests.kafka_tools import publish

NOW = 10_000_000


@pytest.mark.parametrize(
    ("text", "bound"),
    [(None, None), ("0", Offset(0)), ("17", Offset(17)), ("-1h", NOW - 3_600_000), ("earliest", None)],
)
def test_a_bound_is_an_offset_or_a_time(text: str | None, bound: Bound) -> None:
    assert bound_of(text, NOW) == bound


def test_what_is_neither_says_what_it_may_be() -> None:
    with pytest.raises(ValueError, match="or an OFFSET, meant in every partition"):
        bound_of("yesterday", NOW)


def test_the_end_is_no_part_of_it() -> None:
    place = TopicPartition("in", 1)
    found = Window({place: 2}, {place: 4})
    assert [found.has("in", 1, offset) for offset in range(1, 5)] == [False, True, True, False]
    assert not found.has("in", 0, 3)
    assert not found.has("other", 1, 3)


@pytest.mark.kafka
async def test_what_retention_has_eaten_into_is_refused(bootstrap: str) -> None:
    topic, config = f"window-{time.time_ns()}", EngineConfig(bootstrap)
    before = time.time_ns() // 1_000_000 - 1
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await publish(bootstrap, topic, [{"n": n} for n in range(5)])
    place = TopicPartition(topic, 0)
    async with connections.reader(config) as reader:
        whole = await window(reader, topic, 1, Offset(0), None)
        assert (whole.starts, whole.ends) == ({place: 0}, {place: 5})
        assert (await window(reader, topic, 1, before, Offset(3))).ends == {place: 3}
        await admin.delete_records({place: RecordsToDelete(before_offset=2)})
        await admin.close()
        for start in (Offset(0), Offset(1), before):
            with pytest.raises(WindowGone, match=r"up to offset 1 were deleted .* or --from 2"):
                await window(reader, topic, 1, start, None)
        for left in (Offset(2), None):
            assert (await window(reader, topic, 1, left, None)).starts == {place: 2}
