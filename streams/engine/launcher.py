"""Launching attempts: once per (node, run, epoch, seq), and again only when nobody alive works on them (PROTOCOL.md 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from schemas.quick import replace
from schemas.records import NodeRow, Row, Succeeded
from streams.claims.claims import Claims
from streams.core.transition import Send
from streams.core.versions import Versions
from streams.engine.allowance import patience_ms
from streams.engine.attempt import attempt
from streams.engine.deltas import Deltas
from streams.engine.executor import Executor, Key
from streams.engine.items import Rows
from streams.engine.log import Log, Outgoing
from streams.engine.outside import Outside
from streams.engine.processor import Address
from streams.engine.tables import Tables
from streams.engine.version_nodes import VersionNodes
from streams.telemetry.log_context import say_of_attempt, set_attempt
from topology.items import base_of
from topology.limits import for_each_of
from topology.plan import NodePlan, WorkflowPlan

if TYPE_CHECKING:
    from streams.telemetry.watch import Watch

RELAUNCH_GRACE_MS = 10_000
"""After the time it is given an attempt has this long to publish its end before somebody else makes it again."""


class Launcher:
    """Turns rows that say `running` into attempts on the executor, and publishes what came of them."""

    def __init__(
        self,
        plan: WorkflowPlan,
        nodes: VersionNodes,
        executor: Executor,
        tables: Tables,
        log: Log,
        address: Callable[[Send, int], Outgoing],
        clock: Callable[[], int],
        incarnation: str,
        versions: Versions | None = None,
        watch: Watch | None = None,
        claims: Claims | None = None,
    ) -> None:
        self._plan = plan
        self._versions = versions
        self._claims = claims
        self._rows = Rows(plan, tables, versions)
        self._nodes = nodes
        self._executor = executor
        self._tables = tables
        self._log = log
        self._address = address
        self._clock = clock
        self._incarnation = incarnation
        self._watch = watch
        # Published, perhaps not read back yet: the row still says `running`, and a relaunch would make the call again.
        self._ended: dict[Key, int] = {}

    def launch(self, launches: Mapping[Address, str], allowed: Callable[[int], bool]) -> None:
        """Launch attempts whose rows are durable; in partitions not `allowed` yet they are claimed later."""
        for (table, partition, key), node in launches.items():
            row = self._tables.get(table, partition, key)
            if allowed(partition) and isinstance(row, NodeRow):
                self._launch(node, partition, row)

    def abort(self, aborts: Sequence[tuple[str, str]]) -> None:
        """Cancel attempts whose end is decided."""
        for node, run_id in aborts:
            self._executor.abort(node, run_id)

    def orphans(self, partitions: Iterable[int], live: frozenset[str]) -> list[Address]:
        """Return the rows of attempts nobody of the `live` incarnations works on.

        Their claims are written before they are launched: should the partition move on, its next owner must see who is at work.
        """
        found: list[Address] = []
        for partition in partitions:
            for table, run_id in self._tables.running(partition):
                row = self._tables.get(table, partition, run_id)
                node = self._rows.id_at(table, run_id)
                if isinstance(row, NodeRow) and self._is_orphan(node, partition, row, live):
                    found.append((table, partition, run_id))
        return found

    def forget_read_back(self) -> None:
        """Drop published attempts whose rows have moved on."""
        self._ended = {key: partition for key, partition in self._ended.items() if self._row_of(key, partition)}

    def give_back(self) -> dict[Address, Row | None]:
        """Withdraw attempts that have not begun and return their rows without an owner, so that the next one launches them."""
        rows: dict[Address, Row | None] = {}
        for partition, key in self._executor.withdraw():
            if row := self._row_of(key, partition):
                table, row_key = self._rows.place_of(key[0], key[1])
                address = (table, partition, row_key)
                rows[address] = replace(row, incarnation=None)
                self._tables.put(*address, rows[address])
        return rows

    def _launch(self, node: str, partition: int, row: NodeRow) -> None:
        key = (node, row.run_id, row.epoch, row.seq)
        if row.status == "running" and key not in self._ended:
            seen = self._rows.seen(node, partition, row)
            self._executor.launch(key, partition, partial(self._attempt, key, partition, seen))

    async def _attempt(self, key: Key, partition: int, row: NodeRow) -> None:
        """Run an attempt and publish what came of it; it stays in flight until that is acknowledged."""
        plan = self._rows.plan_of(key[0], row.plan_hash)
        set_attempt(self._plan.id, key[0], row)
        if self._watch is None:
            done = await self._made(plan, partition, row)
        else:
            with self._watch.attempt(plan, row, self._clock) as (seen, end):
                done = await self._made(plan, partition, seen)
                end.record = done.value
        if not isinstance(done.value, Succeeded):
            say_of_attempt(plan, done.value)
        await self._log.append([self._address(done, partition)])
        self._ended[key] = partition

    async def _made(self, plan: NodePlan, partition: int, row: NodeRow) -> Send:
        node, deltas = self._nodes.of(base_of(plan.id), row.plan_hash), self._deltas(plan, partition, row)
        return await attempt(self._plan.id, plan, node, row, self._clock, deltas, self._outside(plan, partition, row))

    def _outside(self, plan: NodePlan, partition: int, row: NodeRow) -> Outside | None:
        """Return what an attempt keeps outside of its records, by the version of its run."""
        if self._versions is None:
            return None
        workflow = self._versions.of(row.plan_hash)
        if self._claims is None and workflow.plan.claim_check is None:
            return None
        check, base = workflow.plan.claim_check, base_of(plan.id)
        if check is not None and plan.id != base:
            parent = self._rows.get(base, partition, row.run_id)
            check = for_each_of(check, 1 if parent is None else parent.items or 1)
        return Outside(self._claims or Claims(), check, workflow.input_schema)

    def _deltas(self, plan: NodePlan, partition: int, row: NodeRow) -> Deltas | None:
        """Return where a streaming node's model is heard."""
        if not plan.stream:
            return None

        async def append(sends: Sequence[Send]) -> None:
            await self._log.append([self._address(send, partition) for send in sends])

        return Deltas(self._plan.topic("tokens"), plan.id, row, append)

    def _is_orphan(self, node: str, partition: int, row: NodeRow, live: frozenset[str]) -> bool:
        """Say whether nobody alive works on a running row: a live worker ends and publishes, wherever the partition is now."""
        key = (node, row.run_id, row.epoch, row.seq)
        plan = self._rows.plan_of(node, self._rows.seen(node, partition, row).plan_hash)
        if not plan.executes or key in self._executor or key in self._ended:
            return False
        if not self._rows.wanted(node, partition, row):
            return False
        overdue = (row.launched_at or 0) + patience_ms(plan) + RELAUNCH_GRACE_MS < self._clock()
        return row.incarnation in (None, self._incarnation) or row.incarnation not in live or overdue

    def _row_of(self, key: Key, partition: int) -> NodeRow | None:
        """Return the row that still says an attempt is running, else None."""
        node, run_id, epoch, seq = key
        row = self._rows.get(node, partition, run_id)
        return row if row is not None and (row.status, row.epoch, row.seq) == ("running", epoch, seq) else None
