"""Reading a workflow from Kafka with plain clients: no group is joined, nothing is committed, nothing of the engine's memory is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError
from aiokafka.partitioner import murmur2

from streams.audit.audit import Auditor, Terms
from streams.audit.chains import ChainReport, ChainVerifier
from streams.audit.layout import EFFECTS, Layout, layout_of
from streams.audit.report import Report
from streams.audit.snapshot import Entry, Extent, Place
from streams.engine.clients import admin_of, reader_of, start
from streams.engine.config import EngineConfig
from streams.errors import BrokerUnreachable
from topology.naming import consumer_group

STALLED_S = 60
POLL_MS = 500
POLL_RECORDS = 5_000
COORDINATOR_WITHIN_S = 30


def java_partition(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count`, as Kafka's Java client has it."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)


async def audit_workflow(config: EngineConfig, workflow: str, topics: Mapping[str, int], terms: Terms) -> Report:
    """Read `workflow` from the beginning to its ends as they are now, and audit it. `topics`: the broker's, with their counts.

    Raises:
        BrokerUnreachable: no broker answers, or it stops to.
    """
    return (await _taken(config, workflow, topics, Auditor)).report(terms)


async def verify_workflow(config: EngineConfig, workflow: str, topics: Mapping[str, int]) -> ChainReport:
    """Read `workflow` likewise, and verify the chains of its reviews.

    Raises:
        BrokerUnreachable: no broker answers, or it stops to.
    """
    return (await _taken(config, workflow, topics, ChainVerifier)).report()


class Taker(Protocol):
    """Takes records."""

    def take(self, entry: Entry) -> None:
        """Take one."""
        ...


T = TypeVar("T", bound=Taker)


async def _taken(
    config: EngineConfig,
    workflow: str,
    topics: Mapping[str, int],
    taker_of: Callable[[Layout, Mapping[Place, Extent]], T],
) -> T:
    """Return a taker that was given every record."""
    layout = layout_of(workflow, topics, java_partition)
    async with AsyncExitStack() as stack:
        admin, reader = admin_of(config), reader_of(config)
        await start(admin, config.bootstrap)
        stack.push_async_callback(admin.close)
        await start(reader, config.bootstrap)
        stack.push_async_callback(reader.stop)
        extents = await extents_of(admin, reader, layout)
        taker = taker_of(layout, extents)
        await _read(reader, extents, taker)
    return taker


async def extents_of(admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, layout: Layout) -> dict[Place, Extent]:
    """Return what every partition holds. The order of the questions matters: see `Snapshot`."""
    committed = await _committed(admin, layout)
    places = [TopicPartition(*place) for place in layout.places()]
    effects = [place for place in places if layout.roles[place.topic] in EFFECTS]
    ends = await reader.end_offsets(effects)
    ends |= await reader.end_offsets([place for place in places if place not in set(effects)])
    begins = await reader.beginning_offsets(places)
    return {(p.topic, p.partition): Extent(begins[p], ends[p], committed.get(p)) for p in places}


async def _committed(admin: AIOKafkaAdminClient, layout: Layout) -> dict[TopicPartition, int]:
    """Ask for the group's offsets; wait a little for its coordinator, which a broker that has just started still looks for."""
    last = time.monotonic() + COORDINATOR_WITHIN_S
    while True:
        try:
            found = await admin.list_consumer_group_offsets(consumer_group(layout.workflow))
            return {place: at.offset for place, at in found.items() if at.offset >= 0}
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
            if time.monotonic() > last:
                raise
            await asyncio.sleep(0.2)


async def _read(reader: AIOKafkaConsumer, extents: Mapping[Place, Extent], auditor: Taker) -> None:
    """Read every partition to its end."""
    ends = {TopicPartition(*place): extent.end for place, extent in extents.items() if extent.begin < extent.end}
    if not ends:
        return
    reader.assign(list(ends))
    await reader.seek_to_beginning(*ends)
    behind, last = set(ends), time.monotonic()
    while behind:
        for place, records in (await reader.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)).items():
            last = time.monotonic()
            for entry in _entries(records, ends[place]):
                auditor.take(entry)
        behind = {place for place in behind if await reader.position(place) < ends[place]}
        reader.pause(*(set(ends) - behind))
        if behind and time.monotonic() - last > STALLED_S:
            raise BrokerUnreachable(
                f"nothing read for {STALLED_S} s, still to come: {', '.join(sorted(map(str, behind)))}"
            )


def _entries(records: Iterable[ConsumerRecord], end: int) -> Iterator[Entry]:
    for r in records:
        if r.offset < end:
            yield Entry(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers))
