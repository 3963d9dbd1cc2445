"""The executor: beside the batch loop, within its limits, and never silent about an end it did not ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from streams.engine.executor import Executor, Key


class Jobs:
    """Attempts that begin and end when a test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    def work(self, name: str) -> Callable[[], Awaitable[None]]:
        """Return work that waits at its gate."""
        gate = self._gates[name] = asyncio.Event()

        async def run() -> None:
            self.begun.append(name)
            try:
                await gate.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            self.ended.append(name)

        return run

    def open(self, name: str) -> None:
        """Let work end."""
        self._gates[name].set()


async def turns() -> None:
    """Let every task go as far as it can: a handful of passes of the loop, no clock."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def executor() -> AsyncIterator[Executor]:
    made = Executor({"n": 2, "m": 1})
    yield made
    await made.close()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


def key(run: str, node: str = "n", seq: int = 1) -> Key:
    return (node, run, 0, seq)


async def test_no_more_than_the_node_s_concurrency_runs_at_once(executor: Executor, jobs: Jobs) -> None:
    for run in "abcd":
        executor.launch(key(run), 0, jobs.work(run))
    executor.launch(key("x", "m"), 0, jobs.work("x"))
    await turns()
    assert jobs.begun == ["a", "b", "x"], "the others wait; another node's slots are its own"
    assert len(executor) == 5
    jobs.open("b")
    await turns()
    assert jobs.begun == ["a", "b", "x", "c"]
    assert len(executor) == 4
    assert key("b") not in executor


async def test_the_same_attempt_is_not_in_flight_twice(executor: Executor, jobs: Jobs) -> None:
    executor.launch(key("a"), 0, jobs.work("a"))
    await turns()
    executor.launch(key("a"), 0, jobs.work("again"))
    executor.launch(key("a", seq=2), 0, jobs.work("next"))
    await turns()
    assert jobs.begun == ["a", "next"]


async def test_an_attempt_may_be_made_again_once_it_ended(executor: Executor, jobs: Jobs) -> None:
    executor.launch(key("a"), 0, jobs.work("a"))
    await turns()
    jobs.open("a")
    await turns()
    executor.launch(key("a"), 0, jobs.work("again"))
    await turns()
    assert jobs.begun == ["a", "again"]


async def test_abort_ends_a_node_s_attempts_of_one_run(executor: Executor, jobs: Jobs) -> None:
    for run in "ab":
        executor.launch(key(run), 0, jobs.work(run))
    executor.launch(key("a", seq=2), 0, jobs.work("queued"))
    executor.launch(key("a", "m"), 0, jobs.work("other node"))
    await turns()
    executor.abort("n", "a")
    executor.abort("n", "never launched")
    await turns()
    assert jobs.cancelled == ["a"]
    assert jobs.begun == ["a", "b", "other node"], "one that waited never begins"
    assert len(executor) == 2
    assert not executor.failure.done()


async def test_an_abort_frees_the_slot(executor: Executor, jobs: Jobs) -> None:
    for run in "abc":
        executor.launch(key(run), 0, jobs.work(run))
    await turns()
    executor.abort("n", "a")
    await turns()
    assert jobs.begun == ["a", "b", "c"]


async def test_withdraw_takes_back_only_what_has_not_begun(executor: Executor, jobs: Jobs) -> None:
    for run, partition in (("a", 0), ("b", 1), ("c", 0), ("d", 1)):
        executor.launch(key(run), partition, jobs.work(run))
    await turns()
    assert executor.withdraw() == [(0, key("c")), (1, key("d"))]
    await turns()
    assert (jobs.cancelled, len(executor)) == ([], 2)
    jobs.open("a")
    jobs.open("b")
    await turns()
    assert jobs.begun == ["a", "b"]
    assert jobs.ended == ["a", "b"], "what had begun ran on and published"
    assert executor.withdraw() == []


async def test_what_was_withdrawn_before_its_first_step_never_begins(executor: Executor, jobs: Jobs) -> None:
    executor.launch(key("a"), 0, jobs.work("a"))
    assert executor.withdraw() == [(0, key("a"))]
    await turns()
    assert jobs.begun == []
    assert executor.idle.is_set()
    executor.launch(key("a"), 0, jobs.work("back again"))
    await turns()
    assert jobs.begun == ["back again"]


async def test_a_failure_surfaces_and_the_first_one_is_told(executor: Executor, jobs: Jobs) -> None:
    async def fails() -> None:
        raise ValueError("first")

    async def fails_too() -> None:
        raise ValueError("second")

    executor.launch(key("a"), 0, fails)
    executor.launch(key("b"), 0, fails_too)
    await turns()
    with pytest.raises(ValueError, match="first"):
        await executor.failure
    assert len(executor) == 0


async def test_an_attempt_that_ends_as_cancelled_though_nobody_cancelled_it_is_a_failure(executor: Executor) -> None:
    """A library's own CancelledError: no record was written, so the row would say `running` for ever."""

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    executor.launch(key("a"), 0, cancels_itself)
    await turns()
    assert executor.failure.done()


async def test_drain_waits_for_all_and_says_if_it_could_not(executor: Executor, jobs: Jobs) -> None:
    assert await executor.drain(0)
    executor.launch(key("a"), 0, jobs.work("a"))
    await turns()
    assert not await executor.drain(0)
    waiting = asyncio.create_task(executor.drain(30))
    await turns()
    assert not waiting.done()
    jobs.open("a")
    assert await waiting


async def test_close_cancels_what_is_left(jobs: Jobs) -> None:
    executor = Executor({"n": 1})
    for run in "ab":
        executor.launch(key(run), 0, jobs.work(run))
    await turns()
    await executor.close()
    assert (jobs.begun, jobs.cancelled) == (["a"], ["a"])
    assert executor.failure.cancelled()
