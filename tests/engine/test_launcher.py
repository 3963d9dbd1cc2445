"""Who launches what again (PROTOCOL.md 7): nothing twice, nothing never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from schemas.codec import decode, encode
from schemas.records import AttemptFailed, NodeRow, Succeeded
from streams.core import node_agent
from streams.core.compiled import compile_workflow
from streams.core.outcome import Done, NodeInput, Outcome
from streams.core.transition import Moment, Send
from streams.core.versions import Versions
from streams.engine.executor import Executor
from streams.engine.launcher import RELAUNCH_GRACE_MS, Launcher
from streams.engine.log import Outgoing
from streams.engine.tables import Tables
from streams.engine.version_nodes import VersionNodes
from tests.core.examples import RUN
from tests.engine.recording import Recorder
from tests.plans import plan_of

PLAN = plan_of({"n": ()}, nodes={"n": {"concurrency": 1}})
NODE = compile_workflow(PLAN).nodes["n"]
RUNNING = NodeRow(RUN, "running", seq=1, attempt=1, started=True, incarnation="me", launched_at=0)
LIVE = frozenset({"me", "other"})


class Gate:
    """A node that answers when a test lets it."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.open = asyncio.Event()

    async def execute(self, node_input: NodeInput) -> Outcome:
        self.made.append(f"{node_input.run_id}/{node_input.seq}")
        await self.open.wait()
        return Done({})


@dataclass
class World:
    """A launcher with one node of one slot."""

    launcher: Launcher
    executor: Executor
    tables: Tables
    log: Recorder
    node: Gate
    now: list[int]

    def row(self, row: NodeRow) -> None:
        self.tables.put("n", 0, row.run_id, row)

    def relaunch(self, live: frozenset[str] = LIVE) -> None:
        """Do what the engine does: claim, write (the tables stand for it here), launch."""
        for address in self.launcher.orphans([0], live):
            row = self.tables.get(*address)
            assert isinstance(row, NodeRow)
            self.tables.put(*address, node_agent.relaunch(NODE, row, Moment(self.now[0], 0.0, "me")).row)
            self.launcher.launch({address: "n"}, lambda partition: True)


async def turns() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    def address(send: Send, partition: int) -> Outgoing:
        return Outgoing(send.topic, partition, send.key, encode(send.value), send.headers)  # type: ignore[arg-type]

    node, tables, log, now = Gate(), Tables(), Recorder(), [0]
    executor = Executor({"n": 1})
    nodes = VersionNodes(PLAN, {"n": node}, Versions(PLAN, lambda plan, _: compile_workflow(plan)), lambda _: node)
    launcher = Launcher(PLAN, nodes, executor, tables, log, address, lambda: now[0], "me")
    yield World(launcher, executor, tables, log, node, now)
    await executor.close()


async def test_an_attempt_is_launched_and_its_end_published(world: World) -> None:
    world.row(RUNNING)
    world.launcher.launch({("n", 0, RUN): "n"}, lambda partition: True)
    world.node.open.set()
    await turns()
    ((_, (sent,)),) = world.log.calls  # type: ignore[misc]
    assert (sent.topic, sent.partition) == ("wf.n", 0)
    assert isinstance(decode(sent.value), Succeeded)


async def test_nothing_is_launched_before_its_partition_is_caught_up(world: World) -> None:
    """Its result may be there already."""
    world.row(RUNNING)
    world.launcher.launch({("n", 0, RUN): "n"}, lambda partition: False)
    assert len(world.executor) == 0
    world.relaunch()
    assert len(world.executor) == 1


async def test_a_launch_goes_by_the_row_as_it_is_now(world: World) -> None:
    world.row(replace(RUNNING, status="waiting"))
    world.launcher.launch({("n", 0, RUN): "n", ("n", 0, "gone"): "n"}, lambda partition: True)
    assert len(world.executor) == 0


@pytest.mark.parametrize(
    ("incarnation", "again"), [("dead", True), ("me", True), (None, True), ("other", False)], ids=str
)
async def test_a_running_row_is_launched_again_unless_its_worker_lives(
    world: World, incarnation: str | None, again: bool
) -> None:
    world.row(replace(RUNNING, incarnation=incarnation))
    world.relaunch()
    await turns()
    assert world.node.made == (["r1/1"] if again else [])


async def test_a_live_worker_s_attempt_is_launched_again_when_overdue(world: World) -> None:
    world.row(replace(RUNNING, incarnation="other"))
    world.now[0] = PLAN.node("n").timeout_ms + RELAUNCH_GRACE_MS
    world.relaunch()
    assert len(world.executor) == 0
    world.now[0] += 1
    world.relaunch()
    assert len(world.executor) == 1


async def test_an_attempt_in_flight_is_not_launched_again(world: World) -> None:
    world.row(RUNNING)
    world.relaunch()
    await turns()
    world.relaunch()
    await turns()
    assert world.node.made == ["r1/1"]


async def test_an_attempt_that_published_is_not_launched_again_before_its_record_is_read(world: World) -> None:
    world.row(RUNNING)
    world.node.open.set()
    world.relaunch()
    await turns()
    world.relaunch()
    world.launcher.forget_read_back()
    world.relaunch()
    await turns()
    assert world.node.made == ["r1/1"]
    world.row(replace(RUNNING, seq=2))
    world.relaunch()
    await turns()
    assert world.node.made == ["r1/1", "r1/2"]


async def test_what_has_not_begun_is_given_back_in_its_row(world: World) -> None:
    """Else the next owner takes it for running here, and it never runs (seen: runs that hung after a scale-out)."""
    second = replace(RUNNING, run_id="r2")
    for row in (RUNNING, second):
        world.row(row)
        world.launcher.launch({("n", 0, row.run_id): "n"}, lambda partition: True)
        await turns()
    given = replace(second, incarnation=None)
    assert world.launcher.give_back() == {("n", 0, "r2"): given}
    assert world.tables.get("n", 0, "r2") == given
    assert len(world.executor) == 1, "what had begun runs on"


async def test_an_abort_publishes_nothing(world: World) -> None:
    world.row(RUNNING)
    world.relaunch()
    await turns()
    world.launcher.abort([("n", RUN)])
    world.node.open.set()
    await turns()
    assert world.log.calls == []
    assert not world.executor.failure.done()


async def test_a_result_that_cannot_be_published_stops_the_worker(world: World) -> None:
    world.log.refuse = "append"
    world.row(RUNNING)
    world.node.open.set()
    world.relaunch()
    await turns()
    assert world.executor.failure.done()


class Broken:
    """A node that breaks the promise never to raise."""

    async def execute(self, node_input: NodeInput) -> Outcome:
        raise TimeoutError(node_input.run_id)


async def test_a_timeout_of_the_node_s_own_is_a_failed_attempt(world: World) -> None:
    world.launcher._nodes._nodes = {"n": Broken()}
    world.row(RUNNING)
    world.relaunch()
    await turns()
    ((_, (sent,)),) = world.log.calls  # type: ignore[misc]
    assert isinstance(decode(sent.value), AttemptFailed)


async def test_what_is_made_again_is_an_orphan_once(world: World) -> None:
    world.row(replace(RUNNING, incarnation="dead", launched_at=5))
    assert world.launcher.orphans([0], LIVE) == [("n", 0, RUN)]
    assert len(world.executor) == 0, "not before the row is durable"
    world.relaunch()
    assert len(world.executor) == 1
    assert world.launcher.orphans([0], LIVE) == []
