"""What a move would do, before it does it: from where it goes on, which topics it makes anew, and who has positions in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from penstock.client.repartition.copying import ends_of
from penstock.client.repartition.note import Move, move_of, notes_of
from penstock.client.workflows import workflow_called
from streams.audit.layout import CO_PARTITIONED, Layout, layout_of
from streams.audit.read import java_partition
from topology.naming import consumer_group, output_topic


def moved_topics(layout: Layout) -> list[str]:
    """Return the topics in which a run has one and the same partition; the others stay as they are."""
    return [topic for topic in layout.topics if layout.roles[topic] in CO_PARTITIONED]


@dataclass(frozen=True, slots=True)
class Look:
    """A workflow before its move. `under_way` is a move that was interrupted; `records` are by topic."""

    workflow: str
    under_way: Move | None
    made_with: int | None
    layout: Layout | None
    records: Mapping[str, int]
    readers: tuple[str, ...] = ()

    @property
    def partitions(self) -> tuple[int, ...]:
        """The counts that the topics have: one, unless somebody altered some."""
        layout = self.layout
        return () if layout is None else tuple(sorted({layout.topics[topic] for topic in moved_topics(layout)}))

    def has(self, partitions: int) -> bool:
        """Say whether there is nothing to be moved."""
        same = self.partitions == (partitions,) and self.made_with in (None, partitions)
        return self.under_way is None and same


async def look(admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, workflow: str, topics: Mapping[str, int]) -> Look:
    """Look at a workflow; raise `UnknownWorkflow` if the broker does not have it."""
    notes = await notes_of(reader, workflow, topics)
    move = None if notes.move is None else move_of(notes.move)
    if move is not None and move.phase == "replacing":  # some of its topics may not be there
        return Look(workflow, move, notes.partitions, None, {})
    workflow_called(workflow, topics)
    layout = layout_of(workflow, topics, java_partition)
    ends = await ends_of(reader, {topic: layout.topics[topic] for topic in moved_topics(layout)})
    records = {topic: sum(by_partition.values()) for topic, by_partition in ends.items()}
    return Look(workflow, move, notes.partitions, layout, records, await _readers(admin, workflow))


async def _readers(admin: AIOKafkaAdminClient, workflow: str) -> tuple[str, ...]:
    """Return the groups of others that have a position in the output topic: it goes with the topic. None if nobody may ask."""
    own, output, found = consumer_group(workflow), output_topic(workflow), []
    try:
        for group, *_ in await admin.list_consumer_groups():
            if group != own and any(at.topic == output for at in await admin.list_consumer_group_offsets(group)):
                found.append(group)
    except KafkaError:
        return ()
    return tuple(sorted(found))
