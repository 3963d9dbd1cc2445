"""The batch loop of one workflow on one worker: fetch, handle, apply, commit; take over what a rebalance brings."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError
from aiokafka.partitioner import murmur2

from schemas.records import NodeRow, Row
from streams.core.compiled import CompiledWorkflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from streams.engine.apply import apply
from streams.engine.assignor import PenstockAssignor
from streams.engine.attempt import Node, attempt
from streams.engine.changelogs import OwnedChangelogs
from streams.engine.clients import new_incarnation, producer_of, reader_of, start
from streams.engine.config import EngineConfig
from streams.engine.executor import Executor, Key
from streams.engine.kafka_log import KafkaLog
from streams.engine.log import Outgoing
from streams.engine.membership import Membership
from streams.engine.offsets import Offsets
from streams.engine.processor import CO_PARTITIONED, Address, Processor
from streams.engine.restore import Restorer
from streams.engine.results import WrittenResults
from streams.engine.tables import Tables
from streams.engine.takeover import Takeover
from streams.engine.timers import Timers
from streams.engine.topics import ensure_topics
from streams.errors import EngineFailure
from topology.naming import consumer_group

log = structlog.get_logger(__name__)

IDLE_MS = 100
"""How long a fetch waits when nothing is due; a record that arrives ends it at once."""

SWEEP_MS = 5_000
RELAUNCH_GRACE_MS = 10_000
"""After its timeout an attempt has this long to publish its end before somebody else makes it again."""

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]


def now_ms() -> int:
    """Return the time in epoch ms."""
    return time.time_ns() // 1_000_000


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count`, as Kafka's Java client has it."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)


class Engine:
    """Runs one workflow's agents until told to stop. `ready` is set once its partitions are taken over and caught up."""

    def __init__(self, workflow: CompiledWorkflow, nodes: Mapping[str, Node], config: EngineConfig) -> None:
        self.workflow = workflow
        self.config = config
        self.incarnation = new_incarnation()
        self.ready = asyncio.Event()
        self._nodes = nodes
        self._stopping = asyncio.Event()
        self._batch = asyncio.Lock()
        plan = workflow.plan
        self._plans = {node.id: node for node in plan.nodes}
        self._run_topic = plan.topic("run")
        self._output_topic = plan.topic("output")
        self._co_partitioned = frozenset(topic.name for topic in plan.topics if topic.purpose in CO_PARTITIONED)
        self._node_of = {node.table: node.id for node in plan.nodes}
        self._paused = False
        self._next_sweep = 0
        # Published, perhaps not read back yet: the row still says `running`, and a relaunch would make the call again.
        self._ended: dict[Key, int] = {}

    def stop(self) -> None:
        """Ask for a drain: nothing new is launched, what is in flight ends and is published, offsets are committed."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until `stop`; raise `EngineFailure` when a part of the engine ends by itself."""
        partitions = await ensure_topics(self.workflow.plan, self.config)
        async with AsyncExitStack() as stack:
            await self._build(stack, partitions)
            while not self._stopping.is_set():
                self._raise_failure()
                await self._turn()
            await self._drain()

    async def _build(self, stack: AsyncExitStack, partitions: int) -> None:
        producer = producer_of(self.config)
        self._reader = reader_of(self.config)
        self._assignor = PenstockAssignor(self.incarnation)
        self._consumer = self._group_consumer()
        for client in (producer, self._reader, self._consumer):
            await start(client, self.config.bootstrap)
            stack.push_async_callback(client.stop)
        self._log = KafkaLog(producer)
        self._executor = Executor({node.id: node.concurrency for node in self.workflow.plan.nodes})
        stack.push_async_callback(self._executor.close)
        self._tables, self._timers = Tables(), Timers()
        self._changelogs = OwnedChangelogs(self._log, {t.name: t.changelog for t in self.workflow.plan.tables})
        self._processor = Processor(
            self.workflow, self._tables, self._timers, self._moment, partial(partition_of, count=partitions)
        )
        self._offsets = Offsets(self._consumer, self.config.commit_interval_ms, now_ms)
        self._membership = Membership(self._batch, self._on_revoke)
        self._results = WrittenResults(self._output_topic)
        self._takeover = Takeover(
            self._consumer,
            self._reader,
            self._membership,
            Restorer(self._reader, self._log, self._changelogs, self.incarnation),
            self._changelogs,
            self._tables,
            self._timers,
            self._results,
            self._co_partitioned - {self._output_topic},
        )
        self._consumer.subscribe([*self._processor.topics, self._output_topic], listener=self._membership)

    def _group_consumer(self) -> AIOKafkaConsumer:
        return reader_of(
            self.config,
            group_id=consumer_group(self.workflow.plan.id),
            partition_assignment_strategy=[self._assignor],
            session_timeout_ms=self.config.session_timeout_ms,
            heartbeat_interval_ms=self.config.heartbeat_interval_ms,
            max_poll_interval_ms=max(300_000, self.config.session_timeout_ms),
        )

    def _moment(self) -> Moment:
        return Moment(now_ms(), random.random(), self.incarnation)

    # ---- one turn ---------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        if self._membership.pending:
            await self._take_over()
        generation = self._membership.generation
        batch: Batch = await self._consumer.getmany(
            timeout_ms=self._wait_ms(), max_records=self.config.max_poll_records
        )
        async with self._batch:
            if generation == self._membership.generation and not self._membership.pending:
                await self._handle(batch)
            else:
                self._give_back(batch)
            await self._offsets.commit_if_due()
        await self._resume()
        self._sweep()
        self._limit_intake()

    def _wait_ms(self) -> int:
        due = self._timers.next_due()
        return IDLE_MS if due is None else max(0, min(IDLE_MS, due - now_ms()))

    async def _handle(self, batch: Batch) -> None:
        """Handle a batch and apply what follows."""
        for records in batch.values():
            for record in records:
                self._processor.handle(_inbound(record))
        self._processor.fire_timers()
        effects = self._processor.take_effects()
        effects.sends = self._results.not_written(effects.sends)
        offsets = await apply(effects, self._log, self._changelogs, self._launch_all, self._abort_all)
        self._note_results(effects.sends, offsets)
        for place, records in batch.items():
            self._offsets.applied(place, records[-1].offset + 1)

    def _give_back(self, batch: Batch) -> None:
        """Fetch a batch again that a rebalance overtook: of the new assignment, perhaps, whose tables are not restored yet.

        What stands before it was applied, so its first offset is right for a batch of the assignment before, too. Without
        the seek its records are lost: the position is behind them.
        """
        for place, records in batch.items():
            if place in self._consumer.assignment():
                self._consumer.seek(place, records[0].offset)

    def _note_results(self, sends: Sequence[Outgoing], offsets: Sequence[int]) -> None:
        """Move the committed position of the output topic along: the rows that know these results are durable."""
        for send, offset in zip(sends, offsets, strict=True):
            if send.topic == self._output_topic and send.partition is not None:
                self._offsets.applied(TopicPartition(send.topic, send.partition), offset + 1)

    # ---- work -------------------------------------------------------------------------------------------------------

    def _launch_all(self, launches: Mapping[Address, str]) -> None:
        for (table, partition, key), node in launches.items():
            row = self._tables.get(table, partition, key)
            if self._takeover.caught_up(partition) and isinstance(row, NodeRow):
                self._launch(
                    node, partition, row
                )  # else when the partition is caught up: its result may be there already

    def _launch(self, node: str, partition: int, row: NodeRow) -> None:
        if row.status == "running":
            key = (node, row.run_id, row.epoch, row.seq)
            if key not in self._ended:
                self._executor.launch(key, partition, partial(self._attempt, key, partition, row))

    def _abort_all(self, aborts: Sequence[tuple[str, str]]) -> None:
        for node, run_id in aborts:
            self._executor.abort(node, run_id)

    async def _attempt(self, key: Key, partition: int, row: NodeRow) -> None:
        """Run an attempt and publish what came of it; it stays in flight until that is acknowledged."""
        node = key[0]
        done = await attempt(self.workflow.plan.id, self._plans[node], self._nodes[node], row, now_ms)
        await self._log.append([self._processor.address(done, partition)])
        self._ended[key] = partition

    # ---- rebalance --------------------------------------------------------------------------------------------------

    async def _on_revoke(self) -> None:
        """Give back what has not begun, in the rows too: else the next owner takes it for running here. Begun work runs on."""
        rows: dict[Address, Row | None] = {}
        for partition, key in self._executor.withdraw():
            address = (self._plans[key[0]].table, partition, key[1])
            row = self._tables.get(*address)
            if isinstance(row, NodeRow) and self._says_running(key, partition):
                rows[address] = replace(row, incarnation=None)
                self._tables.put(*address, rows[address])
        if rows:
            await self._changelogs.write(rows)
        await self._offsets.commit()
        self._offsets.forget()

    async def _take_over(self) -> None:
        try:
            await self._takeover.run()
            outputs = [place for place in self._membership.assigned if place.topic == self._output_topic]
            # Assigned so that its position can be committed; nobody reads it back.
            self._consumer.pause(*outputs)
        except IllegalStateError:
            self._membership.pending = True  # a rebalance in the middle: begin again
        self._paused = False

    async def _resume(self) -> None:
        """Relaunch rows that say `running` once their partition is caught up, if their owner is gone."""
        if self._membership.pending or self._takeover.complete:
            return
        try:
            partitions = await self._takeover.newly_caught_up()
        except IllegalStateError:
            return  # a rebalance in the middle
        for partition in partitions:
            self._relaunch(partition)
        if self._takeover.complete:
            self.ready.set()

    def _relaunch(self, partition: int) -> None:
        """Launch attempts nobody works on (PROTOCOL.md 7)."""
        for table, key in self._tables.running(partition):
            row = self._tables.get(table, partition, key)
            if isinstance(row, NodeRow) and self._is_orphan(self._node_of[table], row):
                self._launch(self._node_of[table], partition, row)

    def _is_orphan(self, node: str, row: NodeRow) -> bool:
        """Say whether nobody alive works on a running row: a live worker finishes and publishes, wherever the partition is now."""
        overdue = (row.launched_at or 0) + self._plans[node].timeout_ms + RELAUNCH_GRACE_MS < now_ms()
        return row.incarnation in (None, self.incarnation) or row.incarnation not in self._assignor.live or overdue

    def _sweep(self) -> None:
        """Look now and then for attempts that a live worker should have ended long ago."""
        if now_ms() < self._next_sweep or not self._takeover.complete:
            return
        self._next_sweep = now_ms() + SWEEP_MS
        for partition in self._tables.partitions():
            self._relaunch(partition)
        self._ended = {key: partition for key, partition in self._ended.items() if self._says_running(key, partition)}

    def _says_running(self, key: Key, partition: int) -> bool:
        node, run_id, epoch, seq = key
        row = self._tables.get(self._plans[node].table, partition, run_id)
        return isinstance(row, NodeRow) and (row.status, row.epoch, row.seq) == ("running", epoch, seq)

    def _limit_intake(self) -> None:
        """Take in no new run while too much is in flight; results, decisions and cancels always flow (PROTOCOL.md 11)."""
        full = len(self._executor) > self.config.max_in_flight
        if full == self._paused or self._membership.pending:
            return
        runs = [place for place in self._membership.assigned if place.topic == self._run_topic]
        if full:
            self._consumer.pause(*runs)
        elif len(self._executor) < self.config.max_in_flight * 0.8:
            self._consumer.resume(*runs)
        else:
            return
        self._paused = full

    # ---- the end ----------------------------------------------------------------------------------------------------

    def _raise_failure(self) -> None:
        failure = self._executor.failure
        if failure.done():
            error = failure.exception()
            raise EngineFailure(f"an attempt ended outside its node: {type(error).__name__}: {error}") from error

    async def _drain(self) -> None:
        if not await self._executor.drain(self.config.drain_timeout_s):
            log.warning(
                "attempts in flight at the end of the drain, the next owner makes them again", n=len(self._executor)
            )
        async with self._batch:
            await self._offsets.commit()


def _inbound(record: ConsumerRecord) -> Inbound:
    return Inbound(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(record.headers),
    )
