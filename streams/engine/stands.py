"""How a workflow stands on this worker, looked at now and then for its metrics: lag, backlog, reservations."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.records import LedgerRow, Reservation, RunRow
from streams.engine.membership import Membership
from streams.engine.tables import Tables
from streams.telemetry.metrics import Standing
from streams.telemetry.run_metrics import RunMetrics
from topology.naming import LEDGER_TABLE, RUN_TABLE
from topology.plan import WorkflowPlan

EVERY_S = 5.0
"""A look asks the broker for the topics' ends and goes through the rows of all runs: a few ms of 100,000."""

SOON_S = 0.2
"""So long it waits for partitions."""


class Stands:
    """Looks, and leaves what it saw with the metrics. Where the broker is away it keeps what it saw last."""

    def __init__(
        self,
        plan: WorkflowPlan,
        tables: Tables,
        consumer: AIOKafkaConsumer,
        membership: Membership,
        metrics: RunMetrics,
    ) -> None:
        self._plan = plan
        self._tables = tables
        self._consumer = consumer
        self._membership = membership
        self._metrics = metrics
        self._waiting = (plan.topic("input"), plan.topic("run"))

    async def look(self) -> None:
        """Look until cancelled."""
        while True:
            wait = EVERY_S
            try:
                if self._membership.pending:
                    wait = SOON_S
                else:
                    self._metrics.metrics.standing[self._plan.id] = await self._standing()
            except (IllegalStateError, KafkaError):
                pass  # a rebalance in the middle, or no broker: at the next look
            await asyncio.sleep(wait)

    async def _standing(self) -> Standing:
        lag = await self._lag()
        runs = self._running() + sum(behind for (topic, _), behind in lag.items() if topic in self._waiting)
        held = self._held()
        each = self._metrics.cost_per_run
        return Standing(
            lag,
            runs,
            None if each is None else runs * each,
            len(held),
            sum(one.cost_usd for one in held),
            sum(one.tokens for one in held),
        )

    async def _lag(self) -> dict[tuple[str, int], int]:
        """Return how far this worker is behind, by topic and partition; its own results are nothing it reads."""
        places = [place for place in self._membership.assigned if place.topic != self._plan.topic("output")]
        ends = await self._consumer.end_offsets(places) if places else {}
        lag = {}
        for place, end in ends.items():
            lag[place.topic, place.partition] = max(0, end - await self._consumer.position(place))
        return lag

    def _running(self) -> int:
        return sum(
            isinstance(row, RunRow) and row.status == "running"
            for partition in self._tables.partitions()
            for row in self._tables.live_rows(RUN_TABLE, partition)
        )

    def _held(self) -> list[Reservation]:
        """Return the reservations of runs; those of days are the same ones."""
        return [
            reservation
            for partition in self._tables.partitions()
            for _, row in self._tables.rows(LEDGER_TABLE, partition)
            if isinstance(row, LedgerRow)
            for reservation in row.reserved.values()
        ]
