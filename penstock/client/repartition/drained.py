"""Whether a workflow is drained: no worker in its group, all records read, no run in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from penstock.client import reading, runs
from penstock.client.errors import NotDrained
from schemas.records import NodeRow, RunRow
from streams.audit.layout import Layout
from topology.naming import RUN_TABLE, changelog_topic, consumer_group, node_table

MEMBERS_GONE_WITHIN_S = 10
"""Longer than a session lasts: a worker that was killed counts as a member until then."""
SHOWN = 5


async def require_drained(admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, layout: Layout) -> None:
    """Raise `NotDrained`, naming what is in the way."""
    members = await members_of(admin, layout.workflow)
    if members:
        raise NotDrained(_said(layout.workflow, [f"{len(members)} live worker(s) ({_some(members)})"]))
    behind = await unread(admin, reader, layout)
    if behind:
        hint = "a worker that is started reads them until it is ready"
        raise NotDrained(_said(layout.workflow, [f"records that no worker has read yet ({_some(behind)}; {hint})"]))
    flying = await in_flight(reader, layout)
    if flying:
        hint = f"see `penstock runs list --workflow {layout.workflow} --status running`"
        raise NotDrained(_said(layout.workflow, [f"{len(flying)} run(s) in flight ({_some(flying)}; {hint})"]))


async def members_of(admin: AIOKafkaAdminClient, workflow: str) -> list[str]:
    """Return the workers of the group, once those that were killed are no members any more."""
    last = time.monotonic() + MEMBERS_GONE_WITHIN_S
    while True:
        found = await _members(admin, consumer_group(workflow))
        if not found or time.monotonic() > last:
            return found
        await asyncio.sleep(0.5)


async def _members(admin: AIOKafkaAdminClient, group: str) -> list[str]:
    found = []
    for response in await admin.describe_consumer_groups([group]):
        for described in response.to_object()["groups"]:
            found += [f"{m['client_id']} at {m['client_host'].removeprefix('/')}" for m in described["members"]]
    return sorted(found)


async def unread(admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, layout: Layout) -> list[str]:
    """Return the partitions with records that the group has not read. Inputs and commands may wait: they stay where they are."""
    consumed = [t for t in layout.topics if layout.has(t, "run", "journal", "retry", "lease")]
    places = [place for topic in consumed for place in reading.places_of(topic, layout.topics[topic])]
    ends, begins = await reader.end_offsets(places), await reader.beginning_offsets(places)
    committed: Mapping[TopicPartition, object] = await admin.list_consumer_group_offsets(
        consumer_group(layout.workflow)
    )
    found = []
    for place, end in ends.items():
        at = committed.get(place)
        read = max(getattr(at, "offset", 0), begins[place])
        if read < end:
            found.append(f"{place.topic}/{place.partition}: {end - read}")
    return found


async def in_flight(reader: AIOKafkaConsumer, layout: Layout) -> list[str]:
    """Return the ids of runs that have not ended, or of which a background node works on."""
    found: dict[str, None] = {}
    for table, is_busy in ((RUN_TABLE, _run_is_busy), *((node_table(n), _node_is_busy) for n in layout.nodes)):
        topic = changelog_topic(layout.workflow, table)
        if topic in layout.topics:
            folded = await runs.fold(reader, reading.places_of(topic, layout.topics[topic]))
            found |= {row.run_id: None for rows in folded.values() for row in rows.values() if is_busy(row)}  # type: ignore[union-attr]
    return list(found)


def _run_is_busy(row: object) -> bool:
    """Say whether a run goes on. A row without a source is a cancel's, of a run that never began."""
    if not isinstance(row, RunRow) or row.source is None:
        return False
    return row.status == "running" or row.opening is not None or bool(row.redrives or row.ahead)


def _node_is_busy(row: object) -> bool:
    return isinstance(row, NodeRow) and row.status in ("running", "waiting")


def _some(things: Iterable[str]) -> str:
    things = list(things)
    return ", ".join(things[:SHOWN]) + (f" and {len(things) - SHOWN} more" if len(things) > SHOWN else "")


def _said(workflow: str, what: list[str]) -> str:
    return (
        f"workflow {workflow!r} is not drained: {'; '.join(what)}. Let its workers finish what is under way, stop them, then repeat. "
        "Nothing was changed"
    )
