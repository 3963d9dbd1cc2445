"""Which timer is due next: an index over the timers table, rebuilt at a restore."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from schemas.records import TimerRow
from streams.engine.tables import Tables
from topology.naming import TIMERS_TABLE


class Timers:
    """A heap of (due, partition, key). The table is the truth: an entry without a row is dropped when it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []

    def add(self, due_at: int, partition: int, key: str) -> None:
        """Note a timer."""
        heapq.heappush(self._heap, (due_at, partition, key))

    def due(self, now: int) -> Iterator[tuple[int, str]]:
        """Yield partition and key of what is due, each once."""
        while self._heap and self._heap[0][0] <= now:
            _, partition, key = heapq.heappop(self._heap)
            yield partition, key

    def next_due(self) -> int | None:
        """Return when the next timer is due, None if there is none."""
        return self._heap[0][0] if self._heap else None

    def load(self, tables: Tables, partition: int) -> None:
        """Index a partition that was restored."""
        self.drop(partition)
        for key, row in tables.rows(TIMERS_TABLE, partition):
            if isinstance(row, TimerRow):
                self.add(row.due_at, partition, key)

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self._heap = [entry for entry in self._heap if entry[1] != partition]
        heapq.heapify(self._heap)
