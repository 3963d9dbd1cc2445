"""A move to another partition count that is interrupted wherever it can be: the same command goes on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from aiokafka import ConsumerRecord

from penstock.client.errors import NotDrained
from penstock.client.repartition import copying, drained
from penstock.client.repartition.look import look
from penstock.client.repartition.move import Clients, Mover
from penstock.client.repartition.note import Move, Moving
from penstock.client.repartition.rows import MovedRows, moved, summed
from penstock.client.workflows import topics_on
from schemas import headers as names
from schemas.codec import decode, encode
from schemas.headers import headers_of
from schemas.records import DayRow, LedgerRow, OwnerMarker, RunRow, TimerRow
from streams.audit.audit import Terms
from streams.audit.read import audit_workflow
from streams.core.changelog import MARKER_KEY
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.engine.partitions import partition_of
from streams.errors import MoveUnderWay
from streams.testing import answers
from tests.kafka_tools import engine_for, publish, read_all, results, running, unique, until_no_lag
from tests.plans import plan_of
from topology.naming import consumer_group
from topology.plan import WorkflowPlan


class Crash(Exception):
    """The process ended here."""


class Crashing(Mover):
    """A mover that crashes at one of its steps."""

    at: str = ""

    def crash(self, step: str) -> None:
        if step == self.at:
            raise Crash(step)

    async def _note(self, move: Move | None) -> None:
        await super()._note(move)
        self.crash(f"noted {move.phase} {len(move.done)}" if move else "forgotten")

    async def _copy_all(self, move: Move, ends: dict[str, dict[int, int]]) -> None:  # type: ignore[override]
        await super()._copy_all(move, ends)
        self.crash("copied")

    async def _make_anew(self, move: Move, topics: Sequence[Moving]) -> None:
        await super()._make_anew(move, topics)
        self.crash("made anew")

    async def _fill(self, clients: Clients, move: Move, topic: Moving, ends: Mapping[int, int]) -> None:
        await super()._fill(clients, move, topic, ends)
        self.crash(f"filled {len(move.done)}")

    async def _commit(self, move: Move) -> None:
        await super()._commit(move)
        self.crash("committed")


PAIR = {"a": (), "b": ("a",)}
STEPS = (
    "noted copying 0",
    "copied",
    "noted replacing 0",
    "made anew",
    "filled 0",
    "filled 4",
    "committed",
    "",
)


async def _move(config: EngineConfig, workflow: str, partitions: int, at: str) -> None:
    topics = await topics_on(config)
    async with connected_admin(config) as admin, copying.reader(config) as reader:
        mover = Crashing(config, admin, reader, workflow, lambda _: None)
        mover.at = at
        await mover.carry_out(await look(admin, reader, workflow, topics), partitions)


async def _read(plan: WorkflowPlan, bootstrap: str) -> dict[str, list[ConsumerRecord]]:
    return {p: await read_all(bootstrap, plan.topic(p)) for p in ("run", "output")} | {
        node.id: await read_all(bootstrap, node.topic) for node in plan.nodes
    }


def _told(records: list[ConsumerRecord]) -> list[tuple[object, ...]]:
    return sorted((r.key, r.value, tuple(r.headers), r.timestamp) for r in records)


@pytest.mark.kafka
async def test_a_crash_at_any_step_loses_nothing(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drained, "MEMBERS_GONE_WITHIN_S", 0.1)
    plan, config = plan_of(PAIR, unique("moved")), EngineConfig(bootstrap)
    nodes = {node: answers({"from": node}) for node in PAIR}
    async with running(engine_for(plan, nodes, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{"n": n} for n in range(30)], [f"r{n}" for n in range(30)])
        await results(bootstrap, plan, 30)
        await until_no_lag(bootstrap, consumer_group(plan.id))
        with pytest.raises(NotDrained, match=r"1 live worker\(s\)"):
            await _move(config, plan.id, 3, "")
    before = await _read(plan, bootstrap)
    for step in STEPS:
        if step:
            with pytest.raises(Crash):
                await _move(config, plan.id, 3, step)
            with pytest.raises(MoveUnderWay, match="is being moved to 3 partitions"):
                await engine_for(plan, nodes, bootstrap).prepare()
        else:
            await _move(config, plan.id, 3, step)
    after = await _read(plan, bootstrap)
    for name, records in after.items():
        assert _told(records) == _told(before[name]), name
        assert all(record.partition == partition_of(record.key, 3) for record in records)
    assert not [topic for topic in await topics_on(config) if topic.startswith(plan.id) and topic.endswith(".moving")]

    async with running(engine_for(plan, nodes, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{"n": n} for n in range(40)], [f"r{n}" for n in range(40)])
        found = await results(bootstrap, plan, 40)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert {len(each) for each in found.values()} == {1}
    report = await audit_workflow(config, plan.id, await topics_on(config), Terms())
    assert report.violations == ()


# ---- rows, by themselves ------------------------------------------------------------------------------------------------


def record(partition: int, key: bytes, value: bytes | None, owner_epoch: int = 1, at: int = 0) -> ConsumerRecord:
    headers = headers_of({names.OWNER_EPOCH: owner_epoch})
    return ConsumerRecord("t", partition, 0, at, 0, key, value, None, 0, 0, headers)


def fixed(places: dict[bytes, int]) -> Callable[[bytes], int]:
    return lambda key: places.get(key, 0)


def test_epochs_of_a_moved_run_go_on_above_those_it_had() -> None:
    row = RunRow("r", "success", epoch=17, seen=40)
    assert moved(row, 5) == replace(row, seen=4, epochs_from=18)
    never = RunRow("r", "success", seen=40)
    assert moved(never, 5) == replace(never, seen=4)


def test_a_row_goes_where_its_run_or_its_key_does() -> None:
    rows = MovedRows(fixed({b"r": 2, b"key": 1}), 3, {0: 9, 1: 9, 2: 9})
    ledger, timer = LedgerRow("r", None, None), TimerRow("key", "n", 0, 0, "lease", 5, "t")
    for key, row, partition in ((b"r", ledger, 2), (b"key/n/0/0/lease", timer, 1)):
        out = rows.take(record(0, key, encode(row), at=7))
        assert out is not None
        assert (out.partition, out.key, out.value, out.timestamp) == (partition, key, encode(row), 7)
    gone = rows.take(record(0, b"r", None))
    assert gone is not None
    assert (gone.partition, gone.value) == (2, None)
    assert rows.take(record(0, b"never seen", None)) is None


def test_what_a_worker_wrote_that_had_lost_the_partition_does_not_go() -> None:
    rows = MovedRows(fixed({}), 2, {0: 1, 1: 1})
    assert rows.take(record(1, MARKER_KEY, encode(OwnerMarker(4, "w")), 4)) is None
    assert rows.take(record(1, b"r", encode(LedgerRow("r", None, None)), 3)) is None
    assert rows.take(record(0, b"r", encode(LedgerRow("r", None, None)), 3)) is not None
    last = list(rows.last(99))
    assert [(one.partition, one.key, decode(one.value or b"")) for one in last] == [
        (0, MARKER_KEY, OwnerMarker(5, "penstock-repartition")),
        (1, MARKER_KEY, OwnerMarker(5, "penstock-repartition")),
    ]


def test_what_partitions_spent_on_a_day_is_one_sum() -> None:
    rows = MovedRows(fixed({}), 2, {0: 1, 1: 1})
    today, other = b"day/2026-01-02", b"day/2026-01-01"
    rows.take(record(0, today, encode(DayRow("2026-01-02", 5, 0.5))))
    rows.take(record(0, today, encode(DayRow("2026-01-02", 7, 0.75))))
    rows.take(record(1, today, encode(DayRow("2026-01-02", 3, 0.25))))
    rows.take(record(1, other, encode(DayRow("2026-01-01", 1, 0.0))))
    rows.take(record(1, other, None))
    found = [(one.partition, one.key, decode(one.value or b"")) for one in rows.last(9) if one.key != MARKER_KEY]
    assert found == [(0, today, DayRow("2026-01-02", 10, 1.0))]
    assert summed(iter([DayRow("d", 1, 1.0, 2, 2.0), DayRow("d", 1, 1.0, 2, 2.0)])) == DayRow("d", 2, 2.0, 4, 4.0)
