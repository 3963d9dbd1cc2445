"""One record's way: decode, gather the row, decide, and note the effects. No await in here, so a record is handled whole or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast, get_args

from schemas import codec
from schemas.records import (
    TERMINAL,
    TERMINAL_STATUSES,
    DayRow,
    EpochOpened,
    LeaseGranted,
    LeaseRequested,
    LeaseReturned,
    LedgerRow,
    NodeRecord,
    NodeRow,
    Record,
    RetryScheduled,
    Row,
    RunRecord,
    RunRow,
    Started,
    TimerRow,
)
from streams.core import intake, items, lease, lease_agent, node_agent, run_agent, timer_agent
from streams.core.compiled import CompiledNode, CompiledWorkflow
from streams.core.dead_letter import poison
from streams.core.inbound import Inbound, is_unread, refusal_of
from streams.core.ledger import DAY, Cost, Ledger, day_of, taken, with_limit
from streams.core.node_context import Context
from streams.core.transition import Moment, Send, Transition
from streams.core.versions import Versions
from streams.core.waiting import RowOf, Waiting
from streams.engine.items import CompiledItems, Rows
from streams.engine.log import Outgoing
from streams.engine.tables import Tables
from streams.engine.timers import Timers
from streams.errors import UndecodableRecord
from topology.items import base_of, index_of, item_id
from topology.naming import LEDGER_TABLE, RUN_TABLE, TIMERS_TABLE

if TYPE_CHECKING:
    from streams.telemetry.watch import Watch

Address = tuple[str, int, str]
"""Table, partition, key."""

PartitionOf = Callable[[bytes], int]
"""The partition of a key: murmur2, as Kafka's own clients have it."""

RUN_RECORDS = get_args(RunRecord)
NODE_RECORDS = get_args(NodeRecord)
LEASE_RECORDS = (LeaseRequested, LeaseReturned)
TOLD_TO_NODES = (Started, EpochOpened, *node_agent.ACTED_ON)
"""What nodes' agents act on; the rest is the run agent's alone."""

Elsewhere = Callable[[str], Cost]
"""What partitions of other workers have spent on a day."""


def nowhere(_: str) -> Cost:
    """Nothing: there is no other worker."""
    return Cost()


REMEMBERED, REMEMBERED_BYTES = 4_096, 8_192
"""Records written and not read back yet, and the largest of them: what the memory of them costs at most."""

CO_PARTITIONED = frozenset({"run", "journal", "retry", "output", "routes", "effects"})


@dataclass(slots=True)
class Effects:
    """What a batch of records leads to, in the order in which `apply` carries it out."""

    sends: list[Outgoing] = field(default_factory=list)
    rows: dict[Address, Row | None] = field(default_factory=dict)
    launches: dict[Address, str] = field(default_factory=dict)
    aborts: list[tuple[str, str]] = field(default_factory=list)
    first: dict[Address, Row | None] = field(default_factory=dict)
    """Rows that must be durable before the others: they hold what those give up."""


class Processor:
    """All agents of one workflow: intake, a node agent per node, the run agent, the timer agent."""

    def __init__(
        self,
        workflow: CompiledWorkflow,
        tables: Tables,
        timers: Timers,
        moment: Callable[[], Moment],
        partition_of: PartitionOf,
        elsewhere: Elsewhere = nowhere,
        versions: Versions | None = None,
        watch: Watch | None = None,
        refuses_plain: bool = False,
    ) -> None:
        self.workflow = workflow
        self._versions = versions or Versions(workflow.plan, lambda _, __: workflow)
        self.tables = tables
        self.timers = timers
        self.effects = Effects()
        self._moment = moment
        self._partition_of = partition_of
        self._elsewhere = elsewhere
        self._watch = watch
        plan = workflow.plan
        self._co_partitioned = {topic.name for topic in plan.topics if topic.purpose in CO_PARTITIONED}
        self._journal = {node.id: node.topic for node in plan.nodes}
        self._node_of = {node.topic: node.id for node in plan.nodes}
        self._rows = Rows(plan, tables, self._versions)
        self._waiting = Waiting(plan)
        self._compiled = CompiledItems(workflow)
        self._lowest: dict[tuple[str, str, int], int] = {}
        """Items that have not ended, by node, run and epoch: below them all have. A hint; without it they are looked through."""
        self._run_topic = plan.topic("run")
        self._has_ledger = any(table.name == LEDGER_TABLE for table in plan.tables)
        self._leases = {node.plan.lease.topic: node for node in workflow.nodes.values() if node.plan.lease}
        self._readers = self._subscriptions()
        self._written: dict[bytes, Record] = {}
        self._on_topic: dict[str, Callable[[Inbound], None]] = {
            plan.topic("input"): self._on_input,
            plan.topic("control"): self._on_control,
            plan.topic("retry"): self._on_retry,
            **dict.fromkeys(self._readers, self._on_journal),
            **dict.fromkeys(self._leases, self._on_lease),
        }
        if refuses_plain:
            for topic in (plan.topic("input"), plan.topic("control")):
                self._on_topic[topic] = partial(self._unless_refused, self._on_topic[topic])

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it consumes."""
        return tuple(self._on_topic)

    def handle(self, record: Inbound) -> None:
        """Handle one record; what follows is added to `effects`."""
        self._on_topic[record.topic](record)

    def take_effects(self) -> Effects:
        """Return what was gathered, rows as they are to be written, and start anew."""
        effects, self.effects = self.effects, Effects()
        for address, row in effects.rows.items():
            if isinstance(row, NodeRow):
                effects.rows[address] = self._rows.written(address, row)
                if row.ahead:
                    effects.first[address] = row
        for address in effects.first:
            del effects.rows[address]
        return effects

    def fill_in(self, partition: int) -> None:
        """Make the rows of a partition that was restored whole again."""
        self._rows.fill_in(partition)

    def fire_timers(self) -> None:
        """Do what is due: an attempt whose wait is over, a run that is out of time."""
        now = self._moment().now
        for partition, key in self.timers.due(now):
            row = self.tables.get(TIMERS_TABLE, partition, key)
            if not isinstance(row, TimerRow):
                continue
            if row.kind == lease_agent.LEASE:
                self._expire(partition, key, row, now)
            elif row.kind == timer_agent.DEADLINE:
                run_row = cast("RunRow | None", self.tables.get(RUN_TABLE, partition, row.run_id))
                self._note(TIMERS_TABLE, partition, key, run_agent.expire(self.workflow.plan, run_row, row, now))
            elif base_of(row.node) in self._journal:
                self._note(TIMERS_TABLE, partition, key, timer_agent.fire(row, self._journal[base_of(row.node)]))

    def relaunch(self, addresses: Iterable[Address]) -> None:
        """Have attempts nobody works on made by this worker; what follows is added to `effects`."""
        for table, partition, key in addresses:
            row = self.tables.get(table, partition, key)
            if isinstance(row, NodeRow):
                name = self._rows.id_at(table, key)
                seen = self._rows.seen(name, partition, row)
                node = self._compiled.of(name, seen.plan_hash)
                ledger = self._ledger(node, partition, row.run_id, seen.plan_hash)
                found = node_agent.relaunch(node, seen, self._moment(), ledger)
                self._note_node(node, partition, key, found if seen is row else items.stripped(found))

    def _subscriptions(self) -> dict[str, tuple[CompiledNode, ...]]:
        """Return which nodes read which journal; the run's is read by all."""
        plan = self.workflow.plan
        readers: defaultdict[str, list[CompiledNode]] = defaultdict(list)
        for node in self.workflow.nodes.values():
            for topic in (plan.topic("run"), node.plan.topic, *(self._journal[s] for s in node.plan.sources)):
                readers[topic].append(node)
        # Its owner reads a journal first: the others go by its row.
        return {t: tuple(sorted(nodes, key=lambda node: node.plan.topic != t)) for t, nodes in readers.items()}

    def _on_input(self, record: Inbound) -> None:
        self._take_in(record, (intake.admit(self._versions.current, record, self._moment()),))

    def _on_control(self, record: Inbound) -> None:
        self._take_in(record, intake.command(self._versions.current, record, self._moment()))

    def _unless_refused(self, handle: Callable[[Inbound], None], record: Inbound) -> None:
        """Bury a record that had to be encrypted, handle any other."""
        why, plan = refusal_of(record), self.workflow.plan
        if why is None:
            handle(record)
        else:
            self._send(poison(plan.topic("dead-letter"), plan.id, record, "not_encrypted", why), None)

    def _take_in(self, record: Inbound, sends: tuple[Send, ...]) -> None:
        for send in sends if self._watch is None else self._watch.took_in(record, sends):
            self._send(send, None)

    def _on_retry(self, record: Inbound) -> None:
        found = self._decode(record)
        if not isinstance(found, RetryScheduled):
            return
        key = timer_agent.timer_key(found.run_id, found.node, found.epoch, found.seq, found.kind)
        row = cast("TimerRow | None", self.tables.get(TIMERS_TABLE, record.partition, key))
        transition = timer_agent.schedule(row, found)
        if isinstance(transition.row, TimerRow):
            self.timers.add(transition.row.due_at, record.partition, key)
        self._note(TIMERS_TABLE, record.partition, key, transition)

    def _on_journal(self, record: Inbound) -> None:
        found = self._decode(record)
        if found is None:
            return
        entry = cast("RunRecord | NodeRecord", found)
        if isinstance(found, NODE_RECORDS) and index_of(found.node) is not None:
            self._on_item(cast("NodeRecord", found), record)
            return
        key, partition, moment = entry.run_id, record.partition, self._moment_at(record.offset)
        run_row = cast("RunRow | None", self.tables.get(RUN_TABLE, partition, key))
        current, known = self._versions.current.plan, self._versions.plans
        decided = run_agent.decide(current, run_row, entry, moment.now, record.offset, known)
        if self._watch is not None and isinstance(decided.row, RunRow):
            self._watch.run_changed(run_row, decided.row)
        self._note(RUN_TABLE, partition, key, decided)
        if run_row is not None and run_row.retired:
            self._give_up(entry, partition, moment)
            return  # its nodes' rows were dropped: a late record must not bring one back
        if not isinstance(entry, TOLD_TO_NODES):
            return
        for node in self._readers[record.topic]:
            row = cast("NodeRow | None", self.tables.get(node.plan.table, partition, key))
            if row is None and node.plan.id in self._waiting.nodes:
                self._on_waiting(node, run_row, entry, partition, moment)
            else:
                self._decide(node, row, entry, partition, moment)

    def _moment_at(self, offset: int) -> Moment:
        moment = self._moment()
        return Moment(moment.now, moment.jitter, moment.incarnation, offset)

    def _decide(
        self, node: CompiledNode, row: NodeRow | None, entry: RunRecord | NodeRecord, partition: int, moment: Moment
    ) -> None:
        ledger = self._ledger(node, partition, entry.run_id, _version_of(entry, row))
        transition = node_agent.decide(node, row, entry, moment, ledger)
        self._note_node(node, partition, entry.run_id, transition)
        if node.plan.for_each is not None and node.plan.lease is not None:
            self._withdraw_items(node, partition, row, transition, moment)

    def _on_waiting(
        self, node: CompiledNode, run: RunRow | None, entry: RunRecord | NodeRecord, partition: int, moment: Moment
    ) -> None:
        """Have a node without a row decide; while the rows of its run and its sources say all there is to say, it stays without."""
        if isinstance(entry, Started):
            return
        if run is None or run.source is None:
            self._decide(node, None, entry, partition, moment)  # before the run's start: no row tells it
            return
        row_of = partial(self._rows.of_node, partition, entry.run_id)
        succeeded = _is_of_success(node, entry, row_of)
        if succeeded and not self._waiting.ended(node, row_of):
            return
        compiled = node.at(run.plan_hash)
        row = self._waiting.row(compiled, run, row_of)
        if row is not None and succeeded:
            ledger = self._ledger(compiled, partition, entry.run_id, run.plan_hash)
            self._note_node(node, partition, entry.run_id, node_agent.decide_ready(compiled, row, moment, ledger))
        else:
            self._decide(node, row, entry, partition, moment)

    def _on_item(self, entry: NodeRecord, record: Inbound) -> None:
        """Handle a record of an item of a `for_each` node, and its parent's end if that was the last of them."""
        partition, run_id = record.partition, entry.run_id
        run_row = self.tables.get(RUN_TABLE, partition, run_id)
        if isinstance(run_row, RunRow) and run_row.retired:
            self._give_up(entry, partition, self._moment_at(record.offset))
            return
        parent = self._rows.get(base_of(entry.node), partition, run_id)
        version = None if parent is None else parent.plan_hash
        item, moment = self._compiled.of(entry.node, version), self._moment_at(record.offset)
        context = Context(item, moment, self._ledger(item, partition, run_id, version))
        row = self._rows.get(entry.node, partition, run_id)
        _, key = self._rows.place_of(entry.node, run_id)
        self._note_node(item, partition, key, items.decide_item(context, parent, row, entry, node_agent.decide_own))
        if isinstance(entry, TERMINAL) and parent is not None and items.waits(parent, entry.epoch):
            self._gather(parent, entry, partition, moment)

    def _withdraw_items(
        self, node: CompiledNode, partition: int, before: NodeRow | None, found: Transition, moment: Moment
    ) -> None:
        """Give back what items hold whose node has just ended."""
        after = found.row
        if not isinstance(after, NodeRow) or before is None or before.items is None:
            return
        if before.status == "waiting" and after.status in TERMINAL_STATUSES:
            row_of = partial(self._item_row, node.plan.id, partition, before.run_id)
            for send in items.leases_given_up(Context(node, moment, None), before, row_of):
                self._send(send, None)

    def _item_row(self, node: str, partition: int, run_id: str, index: int) -> NodeRow | None:
        return self._rows.get(item_id(node, index), partition, run_id)

    def _gather(self, parent: NodeRow, entry: NodeRecord, partition: int, moment: Moment) -> None:
        """End a node whose last item has ended, or the first that must not fail."""
        node = self._compiled.of(base_of(entry.node), parent.plan_hash)
        hint = (node.plan.id, entry.run_id, entry.epoch)
        found = items.gather(
            Context(node, moment, None),
            parent,
            partial(self._item_row, node.plan.id, partition, entry.run_id),
            index_of(entry.node) or 0,
            self._lowest.get(hint, 0),
        )
        self._lowest[hint] = found.lowest
        if found.transition.row is not None:
            del self._lowest[hint]
            self._note_node(node, partition, entry.run_id, found.transition)

    def _on_lease(self, record: Inbound) -> None:
        found, node = self._decode(record), self._leases[record.topic].plan
        if not isinstance(found, LeaseRequested | LeaseReturned) or node.lease is None:
            return
        table, partition, now = node.lease.table, record.partition, self._moment().now
        decided = lease_agent.decide(node, lambda key: self.tables.get(table, partition, key), found, now)
        for key, row in decided.rows.items():
            self._put(table, partition, key, row)
        for timer in decided.timers:
            self._put(TIMERS_TABLE, partition, timer_agent.key_of(timer), timer)
            self.timers.add(timer.due_at, partition, timer_agent.key_of(timer))
        for send in decided.sends:
            self._send(send, None)  # a run's partition is not its key's

    def _give_up(self, entry: RunRecord | NodeRecord, partition: int, moment: Moment) -> None:
        """Give back what is granted to a run whose rows are gone: others wait for it."""
        if isinstance(entry, LeaseGranted):
            context = Context(self._compiled.of(entry.node), moment, None)
            self._send(lease.give_up(context, NodeRow(entry.run_id), entry), partition)

    def _expire(self, partition: int, key: str, timer: TimerRow, now: int) -> None:
        """Drop what a router decided long ago."""
        self._put(TIMERS_TABLE, partition, key, None)
        plan = next((n.plan.lease for n in self._leases.values() if n.plan.id == timer.node), None)
        if plan is not None and lease_agent.expire(self.tables.get(plan.table, partition, timer.run_id), now):
            self._put(plan.table, partition, timer.run_id, None)

    def _note_node(self, node: CompiledNode, partition: int, key: str, transition: Transition) -> None:
        address = (node.plan.table, partition, key)
        if transition.abort:
            self.effects.launches.pop(address, None)
            self.effects.aborts.append((node.plan.id, key.partition("/")[0]))  # an item's key begins with its run
        if transition.launch:
            self.effects.launches[address] = node.plan.id
        if transition.ledger is not None:
            self._note_ledger(partition, transition.ledger)
        if self._watch is not None and isinstance(transition.row, NodeRow):
            before = cast("NodeRow | None", self.tables.get(*address))
            self._watch.node_changed(node.plan, before, transition.row)
        self._note(node.plan.table, partition, key, transition)

    def _note(self, table: str, partition: int, key: str, transition: Transition) -> None:
        if transition.row is not None or transition.delete:
            self._put(table, partition, key, transition.row)
        for timer in transition.timers:
            self._put(TIMERS_TABLE, partition, timer_agent.key_of(timer), timer)
            self.timers.add(timer.due_at, partition, timer_agent.key_of(timer))
        for timer_key in transition.stop_timers:
            if self.tables.get(TIMERS_TABLE, partition, timer_key) is not None:
                self._put(TIMERS_TABLE, partition, timer_key, None)
        for send in transition.sends:
            self._send(send, partition)

    def _put(self, table: str, partition: int, key: str, row: Row | None) -> None:
        self.tables.put(table, partition, key, row)
        self.effects.rows[(table, partition, key)] = row

    # ---- the ledger -------------------------------------------------------------------------------------------------

    def _ledger(self, node: CompiledNode, partition: int, run_id: str, version: str | None) -> Ledger | None:
        """Return the run's ledger for a node that spends, None for others. The run's budget is its version's, the day's the current one."""
        if node.prompt is None or not self._has_ledger:
            return None
        budget, daily = self._versions.of(version).plan.budget, self._versions.current.plan.daily_budget
        row = self.tables.get(LEDGER_TABLE, partition, run_id)
        if budget is None and daily is None and row is None:
            return None
        row = with_limit(row if isinstance(row, LedgerRow) else LedgerRow(run_id, None, None), budget)
        today, days, elsewhere = day_of(self._moment().now), {}, Cost()
        if daily is not None:
            elsewhere = self._elsewhere(today)
            days = self._days(partition, row, today)
            for other in self.tables.partitions() - {partition}:
                elsewhere = elsewhere.plus(taken(self.tables.get(LEDGER_TABLE, other, DAY + today)))
        return Ledger(run_id, today, budget, daily, row, days, elsewhere)

    def _days(self, partition: int, run: LedgerRow, today: str) -> dict[str, DayRow]:
        """Return the partition's rows of today and of the days that the run's calls in flight are charged to."""
        days = {today, *(held.day for held in run.reserved.values() if held.day)}
        rows = (self.tables.get(LEDGER_TABLE, partition, DAY + day) for day in days)
        return {row.day: row for row in rows if isinstance(row, DayRow)}

    def _note_ledger(self, partition: int, ledger: Ledger) -> None:
        if self.tables.get(LEDGER_TABLE, partition, ledger.run_id) != ledger.run:
            self._put(LEDGER_TABLE, partition, ledger.run_id, ledger.run)
        for day, row in ledger.days.items():
            if self.tables.get(LEDGER_TABLE, partition, DAY + day) != row:
                self._put(LEDGER_TABLE, partition, DAY + day, row)

    def _send(self, send: Send, partition: int | None) -> None:
        if self._watch is not None:
            send = self._watch.sent(send)
        self.effects.sends.append(self.address(send, partition))

    def address(self, send: Send, partition: int | None) -> Outgoing:
        """Return a record encoded and addressed: within the co-partitioned topics a run stays in its `partition`."""
        value = (
            send.value if send.value is None or isinstance(send.value, bytes) else self._encode(send.topic, send.value)
        )
        if send.topic not in self._co_partitioned:
            partition = None
        elif send.topic in self._leases and send.key is not None:
            partition = self._partition_of(send.key)  # of the work, not of the run
        elif partition is None and send.key is not None:
            partition = self._partition_of(send.key)
        return Outgoing(send.topic, partition, send.key, value, send.headers)

    def _encode(self, topic: str, record: Record) -> bytes:
        """Return a record encoded; one that will be read back here is remembered by its bytes, so that it need not be decoded."""
        value = codec.encode(record)
        if topic in self._readers and len(value) <= REMEMBERED_BYTES:
            if len(self._written) >= REMEMBERED:
                self._written.clear()  # most of what is left there is read by other workers
            self._written[value] = record
        return value

    def _misplaced(self, found: Record, record: Inbound) -> str | None:
        """Return why a record of ours does not belong where it stands, None if it does."""
        if record.topic in self._leases:
            fits = isinstance(found, LEASE_RECORDS) and found.key.encode() == record.key
            return None if fits else f"a {type(found).__name__} has no place in {record.topic}, or another key"
        if found.run_id.encode() != record.key:  # type: ignore[union-attr]
            return f"its key is not its run id {found.run_id!r}"  # type: ignore[union-attr]
        owner = self._node_of.get(record.topic)
        if owner is not None:
            fits = isinstance(found, NODE_RECORDS) and owner in (found.node, base_of(found.node))
        else:
            fits = isinstance(found, RUN_RECORDS if record.topic == self._run_topic else RetryScheduled)
        return None if fits else f"a {type(found).__name__} has no place in {record.topic}"

    def _decode(self, record: Inbound) -> Record | None:
        """Return the record; a foreign one goes to the dead letter, one of a schema not known yet stops the worker."""
        value = record.value or b""
        try:
            found = self._written.pop(value, None) or codec.decode(value)
            problem = self._misplaced(found, record)
            if problem is None:
                return found
        except (codec.CodecError, AttributeError) as error:
            if value[:1] == b"\0" or is_unread(record):
                where = f"{record.topic}/{record.partition}/{record.offset}"
                raise UndecodableRecord(
                    f"{where}: {error}. Nothing was skipped"
                    + (": run the version that wrote it" if value[:1] == b"\0" else "")
                ) from error
            problem = str(error)
        plan = self.workflow.plan
        self._send(poison(plan.topic("dead-letter"), plan.id, record, "undecodable", problem), None)
        return None


def _is_of_success(node: CompiledNode, entry: RunRecord | NodeRecord, row_of: RowOf) -> bool:
    """Say whether a record is of a source that succeeded: its row says all that counts, whichever record this is."""
    if isinstance(entry, EpochOpened):
        return False
    of = cast("NodeRecord", entry)
    row = None if of.node == node.plan.id else row_of(of.node)
    return row is not None and row.status == "success" and of.epoch == 0


def _version_of(entry: RunRecord | NodeRecord, row: NodeRow | None) -> str | None:
    """Return the hash of the version that a node's agent decides with: what begins a run or an epoch says which."""
    if isinstance(entry, EpochOpened) or (isinstance(entry, Started) and (row is None or not row.started)):
        return entry.plan_hash
    return None if row is None else row.plan_hash
