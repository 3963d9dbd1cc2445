"""A whole workflow in memory, with the real plan, codec, decisions and apply: only broker, clock and models are replaced.

    driver = TopologyTestDriver(plan, nodes={"draft": answers({"text": "hello"})})
    driver.pipe("input", {"topic": "tides"}, key="r1")
    assert driver.read("output")[0].json["status"] == "success"

It is synchronous: `pipe` returns when nothing is left to do but wait. The clock moves by `advance` alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from schemas import codec
from schemas.headers import Headers, header, headers_of
from schemas.records import NodeRow, Record, Row
from streams.core.changelog import ChangelogFold
from streams.core.compiled import Prices, compile_workflow
from streams.core.inbound import Inbound
from streams.core.outcome import Deferred, Done, Failed, NodeInput, Outcome
from streams.core.transition import Moment
from streams.core.versions import Versions
from streams.engine.apply import apply
from streams.engine.attempt import Node, attempt
from streams.engine.items import Rows
from streams.engine.log import Outgoing
from streams.engine.processor import Address, Processor
from streams.engine.tables import Tables
from streams.engine.timers import Timers
from topology.compile import in_json
from topology.items import base_of
from topology.plan import WorkflowPlan

PARTITIONS = 2
"""More than one, so that a record that strays from its run's partition shows."""

SEAMS = ("records", "rows", "launches", "executed")
"""Where `crash_at` can crash: after the records, the rows or the launches of a batch, or after a node ran but before its result is written."""


class Crash(Exception):
    """The worker died here; the driver starts another one."""


@dataclass(frozen=True, slots=True)
class Read:
    """A record as `read` returns it."""

    key: str | None
    value: bytes | None
    headers: Headers
    partition: int
    offset: int

    @property
    def json(self) -> Any:
        """The value as JSON."""
        return codec.loads(self.value or b"null")

    @property
    def record(self) -> Record:
        """The value as a record of ours."""
        return codec.decode(self.value or b"")

    def header(self, name: str) -> str | None:
        """Return a header's text."""
        return header(self.headers, name)


class MemoryLog:
    """Topics in memory, which can crash in the middle of an append.

    `fail_after` lets that many further records be appended first. `keep` of the append numbered `fail_in` (0: the next one)
    says which of its records are acknowledged before the crash: any subset, but for the order within a partition.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.topics: defaultdict[str, dict[int, list[Inbound]]] = defaultdict(
            lambda: {p: [] for p in range(PARTITIONS)}
        )
        self.fail_after: int | None = None
        self.fail_in: int | None = None
        self.keep: frozenset[int] = frozenset()
        self.last_size = 0
        self._clock = clock

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append `records` and return their offsets."""
        if self.fail_in == 0:
            self.last_size = len(records)
            self._append_some(records)
            raise Crash("in the middle of an append")
        if self.fail_in is not None:
            self.fail_in -= 1
        return [self._one(record) for record in records]

    def _append_some(self, records: Sequence[Outgoing]) -> None:
        """Append those in `keep`; what follows a lost one in its partition is lost, too: an idempotent producer keeps order."""
        broken: set[tuple[str, int]] = set()
        for index, r in enumerate(records):
            place = (r.topic, partition_of(r.key or b"") if r.partition is None else r.partition)
            if index in self.keep and place not in broken:
                self._one(r)
            else:
                broken.add(place)

    def _one(self, r: Outgoing) -> int:
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise Crash("in the middle of an append")
            self.fail_after -= 1
        partition = partition_of(r.key or b"") if r.partition is None else r.partition
        log = self.topics[r.topic][partition]
        log.append(Inbound(r.topic, partition, len(log), self._clock(), r.key, r.value, r.headers))
        return len(log) - 1


def partition_of(key: bytes) -> int:
    """Return a partition for `key`: any stable function serves in memory."""
    return sum(key) % PARTITIONS


class TopologyTestDriver:
    """Runs `plan` in memory. `nodes` replaces node kinds by id; the others are built from the plan by `build_node`."""

    def __init__(
        self,
        plan: WorkflowPlan,
        nodes: Mapping[str, Node] | None = None,
        build_node: Callable[[Any], Node] | None = None,
        jitter: float = 0.0,
        prices: Prices | None = None,
    ) -> None:
        self.plan = plan = in_json(plan)
        self.now = 0
        self.jitter = jitter
        self.executions: list[NodeInput] = []
        self._versions = Versions(plan, lambda version, known: compile_workflow(version, prices, known))
        self._nodes = {n.id: (nodes or {}).get(n.id) or _built(build_node, n) for n in plan.nodes if n.executes}
        self._topic_of = _topic_names(plan)
        self._changelog_of = {table.name: table.changelog for table in plan.tables}
        self.log = MemoryLog(lambda: self.now)
        self._read_to: defaultdict[str, dict[int, int]] = defaultdict(lambda: dict.fromkeys(range(PARTITIONS), 0))
        self._committed: dict[tuple[str, int], int] = {}
        self._crash_at: str | None = None
        self._lives = 0
        self._launched: dict[Address, tuple[str, int, NodeRow]] = {}
        self.outlives = False
        """The worker does not die of a crash: it takes over again what it lost, and attempts in flight go on."""
        self._loop = asyncio.new_event_loop()
        self._restart()

    def __enter__(self) -> TopologyTestDriver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def deploy(self, plan: WorkflowPlan) -> None:
        """Go on with another version of the workflow, as after the restart of its workers: runs in flight keep theirs."""
        self.plan = plan = in_json(plan)
        self._versions.learn([plan], plan.plan_hash)
        self._restart()

    def close(self) -> None:
        """Close the driver's event loop."""
        self._loop.close()

    # ---- the script -------------------------------------------------------------------------------------------------

    def pipe(
        self,
        topic: str,
        value: Any,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        crash_at: str | None = None,
        crash_after_appends: int | None = None,
    ) -> None:
        """Write a record to a topic (by purpose, node id or name) and let the workflow run until nothing is left to do.

        `value` is bytes as they are, None, or anything else as JSON. `crash_at` names a seam to crash at, once;
        `crash_after_appends` crashes when so many further records (changelogs too) are in the log.
        """
        if crash_at is not None and crash_at not in SEAMS:
            raise ValueError(f"unknown seam {crash_at!r}: there are {', '.join(SEAMS)}")
        raw = value if value is None or isinstance(value, bytes) else codec.dumps(value).encode()
        self._write(self._name(topic), raw, key, headers_of(headers or {}))
        self._crash_at, self.log.fail_after = crash_at, crash_after_appends
        self._settle()
        self._crash_at, self.log.fail_after = None, None

    def advance(self, minutes: float = 0, seconds: float = 0, ms: int = 0) -> None:
        """Move the clock on, timer by timer, and let what is due happen at its time."""
        until = self.now + int(minutes * 60_000 + seconds * 1000) + ms
        while (due := self._timers.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self._settle()
        self.now = until
        self._settle()

    def read(self, topic: str) -> list[Read]:
        """Return the records of a topic that were not read before, partition by partition."""
        name = self._name(topic)
        found = []
        for partition, log in self.log.topics[name].items():
            found += [
                Read(r.key.decode(errors="replace") if r.key else None, r.value, r.headers, partition, r.offset)
                for r in log[self._read_to[name][partition] :]
            ]
            self._read_to[name][partition] = len(log)
        return found

    def table(self, name: str) -> dict[str, Row]:
        """Return the rows of a table by key."""
        if name not in self._changelog_of:
            raise ValueError(f"unknown table {name!r}: there are {', '.join(self._changelog_of)}")
        return {key: row for partition in range(PARTITIONS) for key, row in self._tables.rows(name, partition)}

    def crash(self) -> None:
        """Kill the worker and start another one: memory is lost, the log is not."""
        self._restart()
        self._settle()

    # ---- the machine ------------------------------------------------------------------------------------------------

    def _restart(self) -> None:
        self._lives += 1
        if not self.outlives:
            self._launched.clear()
        self._tables, self._timers = Tables(), Timers()
        self._rows = Rows(self.plan, self._tables, self._versions)
        self._processor = Processor(
            self._versions.current, self._tables, self._timers, self._moment, partition_of, versions=self._versions
        )
        self._position = dict(self._committed)
        for partition in range(PARTITIONS):
            self._restore(partition)
        self._relaunch = True

    def _restore(self, partition: int) -> None:
        for table, topic in self._changelog_of.items():
            fold = ChangelogFold()
            for r in self.log.topics[topic][partition]:
                fold.take(r.key or b"", r.value, 0, topic)
            for key, row in fold.rows.items():
                self._tables.put(table, partition, key, row)
        self._processor.fill_in(partition)
        self._timers.load(self._tables, partition)

    def _settle(self) -> None:
        while True:
            try:
                if not self._turn():
                    return
            except Crash:
                self._crash_at, self.log.fail_after, self.log.fail_in = None, None, None
                self._restart()

    def _turn(self) -> bool:
        """Do one thing: a record, a due timer, or an attempt; return whether there was one."""
        record = self._next_record()
        if record is not None:
            self._processor.handle(record)
            self._apply()
            self._committed[(record.topic, record.partition)] = record.offset + 1
            return True
        if self._relaunch:  # everything that was there at the restart has been read
            self._relaunch = False
            self._processor.relaunch(self._orphans())
            self._apply()
            return True
        self._processor.fire_timers()
        if self._processor.effects.rows:
            self._apply()
            return True
        return self._execute_next()

    def _next_record(self) -> Inbound | None:
        for topic in self._processor.topics:
            for partition, log in self.log.topics[topic].items():
                at = self._position.get((topic, partition), 0)
                if at < len(log):
                    self._position[(topic, partition)] = at + 1
                    return log[at]
        return None

    def _apply(self) -> None:
        effects = self._processor.take_effects()
        self._loop.run_until_complete(apply(effects, self.log, self, self._launch_all, self._abort_all, self._seam))

    async def write(self, rows: Mapping[Address, Row | None]) -> None:
        """Write rows to their changelogs (the driver is its own `Changelogs`)."""
        await self.log.append(
            [
                Outgoing(self._changelog_of[table], p, key.encode(), None if row is None else codec.encode(row))
                for (table, p, key), row in rows.items()
            ]
        )

    def _launch_all(self, launches: Mapping[Address, str]) -> None:
        for address, node in launches.items():
            row = self._tables.get(*address)
            if isinstance(row, NodeRow) and row.status == "running":
                self._launched[address] = (node, address[1], self._rows.seen(node, address[1], row))

    def _abort_all(self, aborts: Iterable[tuple[str, str]]) -> None:
        gone = set(aborts)
        self._launched = {
            a: v
            for a, v in self._launched.items()
            if gone.isdisjoint({(v[0], v[2].run_id), (base_of(v[0]), v[2].run_id)})
        }

    def _orphans(self) -> list[Address]:
        return [
            (table, partition, key)
            for table in sorted(self._rows.tables)
            for partition in range(PARTITIONS)
            for key, row in self._tables.rows(table, partition)
            if isinstance(row, NodeRow) and row.status == "running"
            if row.incarnation != self._incarnation or (self.outlives and (table, partition, key) not in self._launched)
            if self._rows.plan_of(name := self._rows.id_at(table, key)).executes
            and self._rows.wanted(name, partition, row)
        ]

    def _execute_next(self) -> bool:
        if not self._launched:
            return False
        address = next(iter(self._launched))
        node, partition, row = self._launched.pop(address)
        plan, recorded = self._rows.plan_of(node, row.plan_hash), _Recorded(self._nodes[base_of(node)], self)
        work = attempt(self.plan.id, plan, recorded, row, lambda: self.now)
        done = self._loop.run_until_complete(work)
        self._seam("executed")
        self._loop.run_until_complete(self.log.append([self._processor.address(done, partition)]))
        return True

    def _seam(self, name: str) -> None:
        if name == self._crash_at:
            raise Crash(name)

    def _write(self, topic: str, value: bytes | None, key: str | None, headers: Headers) -> None:
        raw = None if key is None else key.encode()
        self._loop.run_until_complete(self.log.append([Outgoing(topic, None, raw, value, headers)]))

    def _name(self, topic: str) -> str:
        name = self._topic_of.get(topic)
        if name is None:
            raise ValueError(f"unknown topic {topic!r}: there are {', '.join(sorted(self._topic_of))}")
        return name

    @property
    def _incarnation(self) -> str:
        return f"life-{1 if self.outlives else self._lives}"

    def _moment(self) -> Moment:
        return Moment(self.now, self.jitter, self._incarnation)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A node whose executions the driver keeps."""

    node: Node
    driver: TopologyTestDriver

    async def execute(self, node_input: NodeInput) -> Outcome:
        self.driver.executions.append(node_input)
        return await self.node.execute(node_input)


@dataclass(frozen=True, slots=True)
class Scripted:
    """A node that gives its outcomes in turn, the last one for ever; a function is called with the input."""

    outcomes: tuple[Outcome | Callable[[NodeInput], Outcome], ...]
    calls: list[NodeInput]

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Return the next outcome."""
        outcome = self.outcomes[min(len(self.calls), len(self.outcomes) - 1)]
        self.calls.append(node_input)
        return outcome(node_input) if callable(outcome) else outcome


def answers(*outcomes: Outcome | Mapping[str, Any] | Callable[[NodeInput], Outcome]) -> Scripted:
    """Return a node that gives these outcomes in turn; a mapping stands for `Done` with that output."""
    ready = (o if isinstance(o, Done | Failed | Deferred) or callable(o) else Done(dict(o)) for o in outcomes)
    return Scripted(tuple(ready), [])


def _built(build_node: Callable[[Any], Node] | None, plan: Any) -> Node:
    if build_node is None:
        raise ValueError(f"node {plan.id!r}: give it in nodes=, or pass build_node")
    return build_node(plan)


def _topic_names(plan: WorkflowPlan) -> dict[str, str]:
    by_purpose: dict[str, str] = {t.purpose: t.name for t in plan.topics if t.purpose != "journal"}
    return {**{t.name: t.name for t in plan.topics}, **by_purpose, **{n.id: n.topic for n in plan.nodes}}
