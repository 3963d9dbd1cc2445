"""How many rows the changelogs of a workflow's nodes stand for: keys whose last record is no tombstone."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.changelog import MARKER_KEY
from topology.naming import changelog_topic, node_table

NODES = ("classify", "extract", "sentiment", "summarize")


async def rows_of(bootstrap: str, workflow: str) -> int:
    """Read the changelogs of the diamond's nodes and count."""
    topics = [changelog_topic(workflow, node_table(node)) for node in NODES]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    rows: set[tuple[str, bytes]] = set()
    try:
        places = [TopicPartition(topic, p) for topic in topics for p in range(4)]
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    if record.value is None:
                        rows.discard((record.topic, record.key))
                    elif record.key != MARKER_KEY:
                        rows.add((record.topic, record.key))
    finally:
        await consumer.stop()
    return len(rows)
