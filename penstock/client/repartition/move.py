"""The move itself. Every step may be the last one before a crash: the same command goes on from there.

1. note the move (`copying`): workers that start now keep away
2. copy every topic to `{topic}.moving`, each record to its new partition; compare the numbers
3. note that the copies are whole (`replacing`)
4. delete the topics and make them anew; copy each back, partition by partition, and note that it is done
5. commit the group's positions at the new ends
6. delete the copies, note the new count, take the note of the move back

Before 3 a crash leaves the topics as they were: the copies are thrown away and made again. After 3 the copies hold all there is, and
no topic is deleted that its copy does not replace. A crash within 4 has those topics made anew once more that are not done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from penstock.client import connections, reading
from penstock.client.deleting import delete_topics
from penstock.client.errors import NotDrained
from penstock.client.repartition import copying
from penstock.client.repartition import topics as topics_of
from penstock.client.repartition.copying import Writer, by_time, ends_of
from penstock.client.repartition.drained import members_of, require_drained
from penstock.client.repartition.look import Look, moved_topics
from penstock.client.repartition.note import Move, Moving
from penstock.client.repartition.rows import MovedRows, Outgoing, moved_record
from streams.audit.layout import Layout
from streams.engine.clients import reader_of, start, stop
from streams.engine.config import EngineConfig
from streams.engine.engine import now_ms
from streams.engine.partitions import partition_of
from streams.engine.plans import note
from topology.naming import consumer_group, move_key, moving_topic, partitions_key, run_topic

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Clients:
    """What reads and what writes."""

    reader: AIOKafkaConsumer
    producer: AIOKafkaProducer


@dataclass(slots=True)
class Mover:
    """One move of one workflow, with connected clients."""

    config: EngineConfig
    admin: AIOKafkaAdminClient
    reader: AIOKafkaConsumer
    workflow: str
    say: Say

    async def carry_out(self, found: Look, partitions: int) -> int:
        """Move the workflow, or go on with a move that was interrupted; return how many records there are then."""
        move = found.under_way
        if found.layout is not None:
            if move is not None:
                await self.abandon(move)
            move = await self.begin(found.layout, partitions)
        assert move is not None  # noqa: S101 - it is under way, or was just begun
        return await self.finish(move)

    async def begin(self, layout: Layout, partitions: int) -> Move:
        """Do steps 1 to 3 and return what is noted.

        Raises:
            NotDrained: something of the workflow is under way; the topics are as they were.
        """
        await require_drained(self.admin, self.reader, layout)
        found = await topics_of.moving(self.admin, {topic: layout.roles[topic] for topic in moved_topics(layout)})
        move = Move(self.workflow, partitions, "copying", _run_first(found, run_topic(self.workflow)))
        await self._note(move)
        counts = {topic.name: layout.topics[topic.name] for topic in found}
        before = await ends_of(self.reader, counts)
        await self._copy_all(move, before)
        after = await ends_of(self.reader, counts)
        members = await members_of(self.admin, move.workflow)
        if before != after or members:
            await self.abandon(move)
            raise NotDrained(
                f"workflow {move.workflow!r}: a worker wrote to its topics while they were copied. Stop all workers, then repeat. "
                "Nothing was changed"
            )
        move = replace(move, phase="replacing")
        await self._note(move)
        return move

    async def abandon(self, move: Move) -> None:
        """Take back a move whose topics are as they were."""
        await delete_topics(self.admin, [moving_topic(topic.name) for topic in move.topics])
        await self._note(None)

    async def finish(self, move: Move) -> int:
        """Do steps 4 to 6, from wherever an earlier call ended; return how many records there are."""
        rest = [topic for topic in move.topics if topic.name not in move.done]
        await self._make_anew(move, rest)
        copies = await ends_of(self.reader, {moving_topic(topic.name): move.partitions for topic in rest})
        # Clients that have never heard of the topics that were deleted.
        async with connections.producer(self.config) as producer, copying.reader(self.config) as reader:
            for topic in rest:
                await self._fill(Clients(reader, producer), move, topic, copies[moving_topic(topic.name)])
                move = replace(move, done=(*move.done, topic.name))
                await note(producer, move_key(self.workflow), move.as_json())
        await self._commit(move)
        async with copying.reader(self.config) as reader:
            ends = await ends_of(reader, {topic.name: move.partitions for topic in move.topics})
        await delete_topics(self.admin, [moving_topic(topic.name) for topic in move.topics])
        async with connections.producer(self.config) as producer:
            await note(
                producer, partitions_key(move.workflow), {"workflow": move.workflow, "partitions": move.partitions}
            )
            await note(producer, move_key(move.workflow), None)
        return sum(sum(by_partition.values()) for by_partition in ends.values())

    # ---- steps ------------------------------------------------------------------------------------------------------

    async def _copy_all(self, move: Move, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Copy every topic; the run topic is the first, for the rows of runs say up to where it was read."""
        await delete_topics(self.admin, [moving_topic(topic.name) for topic in move.topics])
        made = {moving_topic(topic.name): (topic.copies, topics_of.keeping(topic)) for topic in move.topics}
        await topics_of.make(self.admin, move.partitions, made)
        run_ends: dict[int, int] = {}
        async with connections.producer(self.config) as producer:
            clients = Clients(self.reader, producer)
            for topic in move.topics:
                written = await self._copy(clients, topic, move.partitions, ends[topic.name], run_ends)
                run_ends = run_ends or written
                self.say(f"copied {topic.name}: {sum(written.values())} records")

    async def _copy(
        self, clients: Clients, topic: Moving, count: int, ends: Mapping[int, int], run_ends: Mapping[int, int]
    ) -> dict[int, int]:
        to = partial(partition_of, count=count)
        rows = MovedRows(to, count, run_ends) if topic.role == "changelog" else None
        writer = Writer(clients.producer, moving_topic(topic.name))
        async for record in by_time(clients.reader, topic.name, ends):
            out = moved_record(record, to, count) if rows is None else rows.take(record)
            if out is not None:
                await writer.write(out)
        for out in rows.last(now_ms()) if rows is not None else ():
            await writer.write(out)
        return await writer.check(clients.reader, count)

    async def _make_anew(self, move: Move, topics: Sequence[Moving]) -> None:
        await delete_topics(self.admin, [topic.name for topic in topics])
        made = {topic.name: (topic.copies, topics_of.while_filled(topic)) for topic in topics}
        await topics_of.make(self.admin, move.partitions, made)

    async def _fill(self, clients: Clients, move: Move, topic: Moving, ends: Mapping[int, int]) -> None:
        writer = Writer(clients.producer, topic.name)
        async for record in by_time(clients.reader, moving_topic(topic.name), ends):
            headers = tuple(record.headers)
            await writer.write(Outgoing(record.partition, record.key, record.value, headers, record.timestamp))
        written = await writer.check(clients.reader, move.partitions)
        await topics_of.settle(self.admin, topic)
        self.say(f"made anew {topic.name}: {sum(written.values())} records in {move.partitions} partitions")

    async def _commit(self, move: Move) -> None:
        """Commit the group's positions: all that is there was read before it was moved."""
        consumed = [topic.name for topic in move.topics if topic.role != "changelog"]
        client = reader_of(self.config, group_id=consumer_group(move.workflow))
        await start(client, self.config.bootstrap)
        try:
            places = [place for name in consumed for place in reading.places_of(name, move.partitions)]
            client.assign(places)
            await client.commit(await client.end_offsets(places))
        finally:
            await stop(client)

    async def _note(self, move: Move | None) -> None:
        async with connections.producer(self.config) as producer:
            await note(producer, move_key(self.workflow), None if move is None else move.as_json())


def _run_first(topics: tuple[Moving, ...], run: str) -> tuple[Moving, ...]:
    return tuple(sorted(topics, key=lambda topic: (topic.name != run, topic.name)))
