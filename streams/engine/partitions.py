"""Which partition a key is in; apart from the engine, which commands that only ask this need not import."""

from __future__ import annotations

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count`, as Kafka's Java client has it."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)
