"""Dropping the state of finished runs after `state_retention`, so that tables and changelogs do not grow for ever.

What is left of a run then tells a repeated input for one. It goes with the input: once the topic begins behind it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping

from schemas.quick import replace
from schemas.records import NodeRow, Row, RunRow
from streams.engine.processor import Address
from streams.engine.tables import Tables
from topology.items import item_key
from topology.naming import LEDGER_TABLE, RUN_TABLE
from topology.plan import WorkflowPlan

BATCH = 500
"""Runs retired in one turn: a long backlog must not hold the loop."""


class Retirement:
    """Which finished run is to be dropped next: an index over the run table, rebuilt at a restore."""

    def __init__(self, plan: WorkflowPlan, tables: Tables) -> None:
        self._plan = plan
        self._tables = tables
        self._heap: list[tuple[int, int, str]] = []
        self._retired: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
        """By partition of the input topic: the input's offset, the run's partition, the run."""
        self._begins: Mapping[int, int] = {}

    def note(self, partition: int, row: RunRow) -> None:
        """Note a run that has finished, or of which only that is left that a repeat needs."""
        if row.retired and row.source is not None:
            heapq.heappush(self._retired[row.source.partition], (row.source.offset, partition, row.run_id))
        elif row.finished_at is not None and not row.retired:
            heapq.heappush(self._heap, (row.finished_at + self._plan.state_retention_ms, partition, row.run_id))

    def load(self, partition: int) -> None:
        """Index a partition that was restored."""
        self.drop(partition)
        for _, row in self._tables.rows(RUN_TABLE, partition):
            if isinstance(row, RunRow):
                self.note(partition, row)
                if row.retired and self._held(partition, row.run_id):  # a crash between the run's row and its nodes'
                    heapq.heappush(self._heap, (0, partition, row.run_id))

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self._heap = [entry for entry in self._heap if entry[1] != partition]
        heapq.heapify(self._heap)
        for inputs in self._retired.values():
            inputs[:] = [entry for entry in inputs if entry[1] != partition]
            heapq.heapify(inputs)

    def inputs_begin(self, offsets: Mapping[int, int]) -> None:
        """Take note of where the partitions of the input topic begin now."""
        self._begins = offsets

    def due(self, now: int) -> dict[Address, Row | None]:
        """Return the changed rows of runs whose time has come: node rows deleted, the run's row cut to what a repeat needs."""
        rows: dict[Address, Row | None] = {}
        for _ in range(BATCH):
            if not self._heap or self._heap[0][0] > now:
                break
            _, partition, run_id = heapq.heappop(self._heap)
            row = self._tables.get(RUN_TABLE, partition, run_id)
            if isinstance(row, RunRow) and not row.retired:
                if row.finished_at is None or row.finished_at + self._plan.state_retention_ms > now:
                    continue  # an epoch was opened since
                rows[(RUN_TABLE, partition, run_id)] = replace(row, nodes={}, retired=True)
            rows |= dict.fromkeys(self._items(partition, run_id), None)
            rows |= dict.fromkeys(((table, partition, run_id) for table in self._held(partition, run_id)), None)
        return rows | self._forgotten()

    def _forgotten(self) -> dict[Address, Row | None]:
        """Return the rows of runs whose inputs are gone: no replay can bring them again."""
        rows: dict[Address, Row | None] = {}
        for place, begin in self._begins.items():
            inputs = self._retired[place]
            while inputs and inputs[0][0] < begin and len(rows) < BATCH:
                _, partition, run_id = heapq.heappop(inputs)
                rows[(RUN_TABLE, partition, run_id)] = None
        return rows

    def _items(self, partition: int, run_id: str) -> Iterator[Address]:
        """Yield the rows of items, before the row that counts them is gone."""
        for node in self._plan.nodes:
            row = self._tables.get(node.table, partition, run_id) if node.for_each else None
            if node.for_each and isinstance(row, NodeRow):
                for index in range(row.items or 0):
                    yield node.for_each.table, partition, item_key(run_id, index)

    def _held(self, partition: int, run_id: str) -> list[str]:
        tables = [*(node.table for node in self._plan.nodes), LEDGER_TABLE]
        return [table for table in tables if self._tables.get(table, partition, run_id)]
