"""The batch loop of one workflow on one worker: fetch, handle, apply, commit; take over what a rebalance brings."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.records import Row, RunRow
from streams.core.compiled import CompiledWorkflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from streams.core.versions import Versions
from streams.engine.access import demand_worker
from streams.engine.allowance import slots_of
from streams.engine.apply import apply
from streams.engine.assignor import PenstockAssignor
from streams.engine.attempt import Node
from streams.engine.changelogs import OwnedChangelogs
from streams.engine.clients import client_id_of, new_incarnation, producer_of, reader_of, start, stop
from streams.engine.config import EngineConfig
from streams.engine.days import Days
from streams.engine.executor import Executor
from streams.engine.kafka_log import KafkaLog
from streams.engine.launcher import Launcher
from streams.engine.log import Log, Outgoing
from streams.engine.membership import Membership
from streams.engine.offsets import Offsets
from streams.engine.partitions import partition_of
from streams.engine.plans import record_partitions, register
from streams.engine.positions import Positions
from streams.engine.predecessors import dismiss_dead, lease
from streams.engine.processor import CO_PARTITIONED, Address, Effects, Elsewhere, Processor, nowhere
from streams.engine.repair import OwnershipLost, Repair
from streams.engine.restore import Restorer
from streams.engine.results import WrittenResults
from streams.engine.retirement import Retirement
from streams.engine.tables import Tables
from streams.engine.takeover import Takeover
from streams.engine.timers import Timers
from streams.engine.topics import ensure_topics
from streams.engine.version_nodes import Build, VersionNodes
from streams.engine.wire_clients import WireLog
from streams.errors import EngineFailure, VersionBeyond
from topology.naming import LEDGER_TABLE, RUN_TABLE, changelog_topic, consumer_group
from topology.versions import with_layout_of

if TYPE_CHECKING:
    from streams.telemetry.watch import Watch

log = structlog.get_logger(__name__)

IDLE_MS = 100
"""How long a fetch waits when nothing is due; a record that arrives ends it at once."""

STUCK_S = 30.0
"""A turn that takes longer waits for something that does not come."""

SWEEP_MS = 5_000
"""How often it looks for overdue attempts and foreign writes."""

INPUTS_MS = 60_000
"""How often it looks where the input topic begins."""

LANES = 2
"""While a part of the partitions waits for its acknowledgements, the next part is decided on."""

FEW = 64
"""So few records are not worth parting."""

BREATH = 32
"""Records handled without a break: a millisecond or two."""

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]


def now_ms() -> int:
    """Return the time in epoch ms."""
    return time.time_ns() // 1_000_000


class Engine:
    """Runs one workflow's agents until told to stop. `ready` is set once its partitions are taken over and caught up."""

    def __init__(
        self,
        workflow: CompiledWorkflow,
        nodes: Mapping[str, Node],
        config: EngineConfig,
        versions: Versions | None = None,
        build: Build | None = None,
        watch: Watch | None = None,
        imports: Callable[[], None] | None = None,
    ) -> None:
        self.workflow = workflow
        self._imports = imports
        self._own = workflow.plan
        self._versions = versions or Versions(workflow.plan, lambda _, __: workflow)
        self._build_node = build or (lambda plan: nodes[plan.id])
        self.config = config
        self.incarnation = new_incarnation()
        self.ready = asyncio.Event()
        self._nodes = nodes
        self._watch = watch
        self._stopping = asyncio.Event()
        self._batch = asyncio.Lock()
        plan = workflow.plan
        self._run_topic = plan.topic("run")
        self._output_topic = plan.topic("output")
        self._co_partitioned = frozenset(topic.name for topic in plan.topics if topic.purpose in CO_PARTITIONED)
        self._partitions: int | None = None
        self._paused = False
        self._built = False
        self._following: asyncio.Task[None] | None = None
        self._next_sweep = 0
        self._next_look = 0
        self._awake_at = time.monotonic()

    def stop(self) -> None:
        """Ask for a drain: nothing new is launched, what is in flight ends and is published, offsets are committed."""
        self._stopping.set()

    def why_not_ready(self) -> str | None:
        """Say what it is waiting for, None if it works; for another thread, too: it looks and changes nothing."""
        if self._stopping.is_set():
            return "draining"
        if not self._built:
            return "starting: its topics and versions are looked at"
        if self._takeover.restoring:
            return "its partitions are taken over: their tables are restored"
        if self._membership.pending:
            return "a rebalance: its partitions are being assigned"
        if behind := self._takeover.behind:
            return f"catching up: partitions {behind} still read what was there when they were taken over"
        if not self.ready.is_set():
            return "joining the group: no partition was assigned yet"
        still = time.monotonic() - self._awake_at
        return None if still < STUCK_S else f"its batch loop has not turned for {still:.0f} s: is the broker away?"

    async def prepare(self) -> int:
        """Record the workflow's version and create what topics are missing; return the partition count. `run` does it, too.

        Raises:
            StructureChanged: runs of a version with other nodes, edges or schemas are in the workflow's topics.
            AccessDenied, TopicsMissing: this worker may not do what it has to, or not create what is missing.
            TopicMismatch, BrokerUnreachable: as `run` does.
            SchemaBreaks, RegistryError, RegistryUnreachable: what the schema registry says, where there is one.
        """
        if self._imports is None:
            return await self._prepare()
        # While Kafka answers: at the first call every run would wait for it.
        importing = asyncio.create_task(asyncio.to_thread(self._imports))
        try:
            return await self._prepare()
        finally:
            await importing

    async def _prepare(self) -> int:
        wire = self.config.wire
        all_there = await demand_worker(self._own, self.config)
        if wire is not None:
            await wire.prepare(self._own)
        self._recorded = await register(self._own, self.config)
        self._learn()
        if self.workflow.plan != self._own:  # other versions have topics, too
            all_there = await demand_worker(self.workflow.plan, self.config) and all_there
            if wire is not None:
                await wire.prepare(self.workflow.plan)
        self._partitions = await ensure_topics(self.workflow.plan, self.config, self._recorded.partitions)
        if self._recorded.partitions != self._partitions:
            await record_partitions(self._own.id, self._partitions, self.config)
        if not all_there:  # what was created just now was not asked for
            await demand_worker(self.workflow.plan, self.config)
        return self._partitions

    def _learn(self) -> None:
        """Take note of the versions that are recorded, and hold what topics and tables they have."""
        plans = self._recorded.plans
        self._versions.learn(plans, plans[-1].plan_hash if plans else self._own.plan_hash)
        self.workflow = replace(self.workflow, plan=with_layout_of(self._own, plans))

    async def run(self) -> None:
        """Run until `stop`; raise when a part of the engine ends by itself: never half a worker.

        Raises:
            BrokerUnreachable: no broker answers at the start.
            StructureChanged: runs of a version with other nodes, edges or schemas are in the workflow's topics.
            TopicMismatch: a topic does not fit the workflow.
            VersionBeyond: another worker's version has a topic or table that this worker does not hold.
            PositionLost: the group's position, or the records at it, are gone.
            UndecodableRecord: a record or row that no schema of this version explains.
            EngineFailure: an attempt, a takeover or the producer failed for good.
        """
        partitions = self._partitions or await self.prepare()
        await dismiss_dead(self.config, consumer_group(self.workflow.plan.id))
        async with AsyncExitStack() as stack:
            stack.enter_context(lease(self.config.lease_folder, self.incarnation))
            await self._build(stack, partitions)
            self._awake_at = time.monotonic()
            while not self._stopping.is_set():
                self._raise_failure()
                await self._turn()
            await self._drain()

    async def _build(self, stack: AsyncExitStack, partitions: int) -> None:
        plan = self.workflow.plan
        producer = producer_of(self.config)
        self._reader = reader_of(self.config)
        self._assignor = PenstockAssignor(self.incarnation)
        self._consumer = self._group_consumer()
        for client in (producer, self._reader, self._consumer):
            await start(client, self.config.bootstrap)
            stack.push_async_callback(stop, client)
        kafka_log: Log = KafkaLog(producer, self.config.delivery_timeout_ms)
        if self.config.wire is not None:
            kafka_log = WireLog(kafka_log, self.config.wire)
        self._log = kafka_log
        self._executor = Executor({node.id: slots_of(node) for node in plan.nodes})
        stack.push_async_callback(self._executor.close)
        self._tables, self._timers = Tables(), Timers()
        self._retirement = Retirement(plan, self._tables)
        self._changelogs = OwnedChangelogs(kafka_log, {t.name: t.changelog for t in plan.tables})
        self._processor = Processor(
            self.workflow,
            self._tables,
            self._timers,
            self._moment,
            partial(partition_of, count=partitions),
            await self._follow_days(stack, partitions),
            self._versions,
            self._watch,
            refuses_plain=self.config.sealing is not None and self.config.sealing.require,
        )
        nodes = VersionNodes(self._own, self._nodes, self._versions, self._build_node)
        address = self._processor.address
        self._launcher = Launcher(
            plan,
            nodes,
            self._executor,
            self._tables,
            kafka_log,
            address,
            now_ms,
            self.incarnation,
            self._versions,
            self._watch,
            self.config.claims,
        )
        self._offsets = Offsets(self._consumer, self.config.commit_interval_ms, now_ms)
        self._membership = Membership(self._batch, self._on_revoke)
        self._results = WrittenResults(self._output_topic)
        self._positions = Positions(
            self._consumer, consumer_group(plan.id), self._run_topic, self.config.resume_from_ms
        )
        self._repair = Repair(self._reader, self._changelogs, self._tables)
        restorer = Restorer(self._reader, kafka_log, self._changelogs, self.incarnation)
        self._takeover = Takeover(self._consumer, self._membership, restorer, self._changelogs, self._tables)
        self._takeover.topics = self._co_partitioned - {self._output_topic}
        self._consumer.subscribe([*self._processor.topics, self._output_topic], listener=self._membership)
        if self._watch is not None and self._watch.metrics is not None:
            from streams.engine.stands import Stands

            stands = Stands(plan, self._tables, self._consumer, self._membership, self._watch.metrics)
            stack.push_async_callback(_end, asyncio.create_task(stands.look()))
        self._built = True

    async def _follow_days(self, stack: AsyncExitStack, partitions: int) -> Elsewhere:
        """Return what says how much other workers have spent today; only a daily budget needs to know."""
        plan = self.workflow.plan
        if all(known.daily_budget is None for known in self._versions.plans.values()):
            return nowhere
        reader = reader_of(self.config)
        await start(reader, self.config.bootstrap)
        stack.push_async_callback(stop, reader)
        days = Days(reader, changelog_topic(plan.id, LEDGER_TABLE), partitions, self._tables)
        await days.load()
        self._following = asyncio.create_task(days.follow())
        stack.push_async_callback(_end, self._following)
        return days.elsewhere

    def _group_consumer(self) -> AIOKafkaConsumer:
        return reader_of(
            self.config,
            group_id=consumer_group(self.workflow.plan.id),
            client_id=client_id_of(self.incarnation),
            partition_assignment_strategy=[self._assignor],
            session_timeout_ms=self.config.session_timeout_ms,
            heartbeat_interval_ms=self.config.heartbeat_interval_ms,
            max_poll_interval_ms=max(300_000, self.config.session_timeout_ms),
        )

    def _join_anew(self) -> None:
        """Have everything revoked and assigned again.

        Subscribing again would do it by aiokafka's public face, but if the coordinator is away just then its routine ends
        with an AssertionError, and the worker with it.
        """
        self._consumer._coordinator.request_rejoin()  # noqa: SLF001

    def _moment(self) -> Moment:
        return Moment(now_ms(), random.random(), self.incarnation)

    # ---- one turn ---------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        if self._membership.pending:
            await self._take_over()
            self._awake_at = time.monotonic()
        generation = self._membership.generation
        batch: Batch = await self._consumer.getmany(
            timeout_ms=self._wait_ms(), max_records=self.config.max_poll_records
        )
        async with self._batch:
            current = generation == self._membership.generation and not self._membership.pending
            if current and not self._stalled():
                await self._handle(batch)
            else:
                self._give_back(batch)
            await self._offsets.commit_if_due()
            await self._sweep()
        await self._resume()
        self._limit_intake()
        if not self._membership.pending and not self._stalled():
            self._awake_at = time.monotonic()

    def _wait_ms(self) -> int:
        due = self._timers.next_due()
        return IDLE_MS if due is None else max(0, min(IDLE_MS, due - now_ms()))

    async def _handle(self, batch: Batch) -> None:
        """Handle a batch and apply what follows, then what time has brought."""
        await self._positions.check(batch)
        applying: list[asyncio.Task[None]] = []
        try:
            for lane in lanes_of(batch):
                await self._decide(lane)
                applying.append(asyncio.create_task(self._apply(self._processor.take_effects(), lane)))
            await asyncio.gather(*applying)
        finally:
            for task in applying:
                task.cancel()  # of those that are not done, when one has failed: the worker ends then
        self._processor.fire_timers()
        effects = self._processor.take_effects()
        effects.rows |= self._retire()
        if effects.sends or effects.rows:
            await self._apply(effects, {})

    async def _decide(self, lane: Batch) -> None:
        """Handle the records of a lane; now and then others have their turn: the broker's answers, attempts, heartbeats."""
        handled = 0
        for records in lane.values():
            for record in records:
                self._processor.handle(_inbound(record))
                handled += 1
                if handled % BREATH == 0:
                    await asyncio.sleep(0)

    async def _apply(self, effects: Effects, lane: Batch) -> None:
        if self._stalled():
            # Stopped after it had decided: what it would send its successor has sent, and its tables are ahead of the log.
            self._takeover.distrust()
            return
        effects.sends = self._results.not_written(effects.sends)
        try:
            offsets = await apply(effects, self._log, self._repair, self._launch, self._launcher.abort)
        except OwnershipLost:
            self._lose_ownership()
            return  # not applied: whoever owns the partitions next reads the batch again
        self._note_results(effects.sends, offsets)
        for place, records in lane.items():
            self._offsets.applied(place, records[-1].offset + 1)
        for (table, partition, _), row in effects.rows.items():
            if table == RUN_TABLE and isinstance(row, RunRow):
                self._retirement.note(partition, row)

    def _retire(self) -> dict[Address, Row | None]:
        rows = self._retirement.due(now_ms())
        for address, row in rows.items():
            self._tables.put(*address, row)
        return rows

    def _launch(self, launches: Mapping[Address, str]) -> None:
        """Launch, unless this worker slept while the rows were written: then they may be another's already."""
        if launches and self._stalled():
            return
        # In a partition that is not caught up the result may be there already: `_resume` launches what is left then.
        self._launcher.launch(launches, self._takeover.caught_up)

    def _stalled(self) -> bool:
        """Say whether this process stood still for longer than its session: then the group has gone on without it.

        Counted from the end of the last turn that was awake, so that no moment is outside of it: wherever the process was
        stopped, what was fetched before is not handled on tables that are another worker's by now.
        """
        if (time.monotonic() - self._awake_at) * 1000 < self.config.session_timeout_ms:
            return False
        self._rejoin("stood still for longer than its session")
        return True

    def _lose_ownership(self) -> None:
        self._takeover.distrust()
        self._rejoin("another worker took over a changelog")

    def _rejoin(self, why: str) -> None:
        log.warning("joining the group anew", reason=why, workflow=self.workflow.plan.id)
        self._membership.lose()
        self._join_anew()

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

    # ---- rebalance --------------------------------------------------------------------------------------------------

    async def _on_revoke(self) -> None:
        """Give back what has not begun, in the rows too: else the next owner takes it for running here. Begun work runs on."""
        rows = self._launcher.give_back()
        try:
            if rows and not self._membership.lost:  # else they are another's by now
                await self._repair.write(rows)
        except OwnershipLost:
            log.info("attempts not given back: another worker took over")
        await self._offsets.commit()
        self._offsets.forget()

    async def _take_over(self) -> None:
        """Take over the assignment; what the broker's absence breaks is tried again for a while."""
        last = time.monotonic() + self.config.takeover_timeout_s
        while self._membership.pending and not self._stopping.is_set():
            try:
                if not await self._membership.settled():
                    return  # revoked, and not assigned yet
                async with asyncio.timeout(self.config.takeover_timeout_s):
                    await self._take_over_once()
            except TimeoutError:
                raise EngineFailure(
                    f"a takeover of partitions got nowhere within {self.config.takeover_timeout_s:.0f} s"
                ) from None
            except (IllegalStateError, KafkaError) as error:
                self._membership.pending = True  # a rebalance in the middle, or no broker: begin again
                if time.monotonic() > last:
                    raise EngineFailure(f"partitions could not be taken over: {error!r}") from error
                log.info("takeover begins again", reason=repr(error))
                await asyncio.sleep(0.2)
        self._paused = False

    async def _take_over_once(self) -> None:
        await self._read_versions()
        # First, for it commits: that fails if the group has gone on meanwhile, before a marker is written in its way.
        await self._positions.take_over(self._membership.assigned)
        began = time.monotonic()
        restored = await self._takeover.run()
        if self._watch is not None:
            self._watch.restored(time.monotonic() - began)
        for partition in restored:
            self._processor.fill_in(partition)
            self._timers.load(self._tables, partition)
            self._retirement.load(partition)
        for partition in self._takeover.dropped:
            self._timers.drop(partition)
            self._retirement.drop(partition)
        mine = self._membership.partitions(self._co_partitioned)
        await self._results.load(self._reader, mine, self._positions.next)
        outputs = [place for place in self._membership.assigned if place.topic == self._output_topic]
        # Assigned so that its position can be committed; nobody reads it back.
        self._consumer.pause(*outputs)

    async def _read_versions(self) -> None:
        """Read which versions there are now: one that has just joined recorded its own before it did."""
        if not await self._recorded.read_on(self._reader):
            return
        held = self.workflow.plan
        self._learn()
        beyond = {t.name for t in self.workflow.plan.topics} - {t.name for t in held.topics}
        beyond |= {t.changelog for t in self.workflow.plan.tables} - {t.changelog for t in held.tables}
        if beyond:
            raise VersionBeyond(
                f"workflow {held.id!r}: version {self._versions.current.plan.version} has started, with {min(beyond)!r}, which "
                "this worker does not hold: start it again, with the same file or the new one"
            )

    async def _resume(self) -> None:
        """Launch again what nobody works on, in partitions that have just read all that was there at the takeover."""
        if self._membership.pending:
            return
        if not self._takeover.complete:
            try:
                partitions = await self._takeover.newly_caught_up()
            except (IllegalStateError, KafkaError):
                return  # a rebalance in the middle, or no broker: with the next turn
            for partition in partitions:
                self._offsets.applied(TopicPartition(self._output_topic, partition), self._results.caught_up(partition))
            async with self._batch:
                await self._relaunch(partitions)
        if self._takeover.complete:
            self.ready.set()

    async def _relaunch(self, partitions: Iterable[int]) -> None:
        """Launch again what nobody works on, once the rows say that this worker does."""
        if self._membership.pending:
            return
        orphans = self._launcher.orphans(partitions, self._assignor.live)
        if not orphans:
            return
        self._processor.relaunch(orphans)
        try:
            await apply(self._processor.take_effects(), self._log, self._repair, self._launch, self._launcher.abort)
        except OwnershipLost:
            self._lose_ownership()

    async def _sweep(self) -> None:
        """Now and then look for attempts that should have ended long ago, and for foreign writes."""
        if now_ms() < self._next_sweep or self._membership.pending or not self._takeover.complete:
            return
        self._next_sweep = now_ms() + SWEEP_MS
        self._launcher.forget_read_back()
        try:
            await self._relaunch(self._tables.partitions())
            if not await self._repair.look(self._tables.partitions()):
                self._lose_ownership()
            await self._look_at_inputs()
        except KafkaError as error:
            log.info("topics not looked at", reason=repr(error))

    async def _look_at_inputs(self) -> None:
        """See which inputs retention has taken: what is left of their runs may go, too."""
        if now_ms() < self._next_look:
            return
        self._next_look = now_ms() + INPUTS_MS
        topic = self.workflow.plan.topic("input")
        places = [TopicPartition(topic, p) for p in self._consumer.partitions_for_topic(topic) or ()]
        begins = await self._reader.beginning_offsets(places) if places else {}
        self._retirement.inputs_begin({place.partition: offset for place, offset in begins.items()})

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
        if self._following is not None and self._following.done():
            raise EngineFailure(f"the day's spending is not followed any more: {self._following.exception()!r}")
        failure = self._executor.failure
        if failure.done():
            error = failure.exception()
            raise EngineFailure(f"an attempt ended outside its node: {type(error).__name__}: {error}") from error

    async def _drain(self) -> None:
        """Let others have the partitions, finish and publish what has begun, then leave: nothing is made again.

        Still a member, though `draining`: while it is alive nobody launches again what it is working on.
        """
        self._assignor.draining = True
        if len(self._assignor.live) > 1:
            await self._hand_over()
        if not await self._executor.drain(self.config.drain_timeout_s):
            log.warning("attempts in flight at the end of the drain are made again", attempts=len(self._executor))
        async with self._batch:
            await self._offsets.commit()

    async def _hand_over(self) -> None:
        self._membership.changed.clear()
        self._join_anew()
        try:
            async with asyncio.timeout(self.config.drain_timeout_s):
                await self._membership.changed.wait()
        except TimeoutError:
            log.warning("no rebalance within the drain timeout; leaving with the partitions")


def lanes_of(batch: Batch) -> list[Batch]:
    """Part a batch by partition, which is also the order in which its parts are applied: between partitions there is none to keep."""
    if sum(map(len, batch.values())) <= FEW:
        return [batch]
    lanes: defaultdict[int, dict[TopicPartition, Sequence[ConsumerRecord]]] = defaultdict(dict)
    for place, records in batch.items():
        lanes[place.partition % LANES][place] = records
    return list(lanes.values())


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


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
