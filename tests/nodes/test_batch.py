"""Batches: how they fill, what their handler may answer, and that each attempt in one stays its own."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome
from streams.nodes import Resources, build
from streams.nodes.batch import BatchNode
from streams.nodes.kinds import GuardedNode
from streams.testing import TopologyTestDriver
from tests.nodes.conftest import API_KEY, node_plan
from tests.plans import plan_of
from topology.plan import BatchPlan, FunctionPlan, NodePlan


@dataclass
class Clock:
    """Timers that run out when a test says so."""

    timers: list[tuple[float, Callable[[], None], asyncio.TimerHandle]] = field(default_factory=list)

    def later(self, seconds: float, due: Callable[[], None]) -> asyncio.TimerHandle:
        """Keep a timer; the loop's own would run out in a day."""
        handle = asyncio.get_running_loop().call_later(86_400, due)
        self.timers.append((seconds, due, handle))
        return handle

    @property
    def waits(self) -> list[float]:
        """How long each timer that still runs was to run."""
        return [seconds for seconds, _, handle in self.timers if not handle.cancelled()]

    def run_out(self) -> None:
        """Let every timer that runs come to its end."""
        for _, due, handle in self.timers:
            if not handle.cancelled():
                handle.cancel()
                due()


@dataclass
class Batching:
    """A batch node, its clock, and the calls its handler has had."""

    node: BatchNode
    clock: Clock

    def attempt(self, n: Any, seq: int = 1) -> asyncio.Task[Outcome]:
        """Begin an attempt of a run of its own."""
        made = NodeInput("wf", f"r{n}", "classify", 0, seq, 1, {"input": {"n": n}})
        return asyncio.create_task(self.node.execute(made))

    @property
    def calls(self) -> list[list[Any]]:
        """The inputs of each call, in order."""
        calls: list[list[Any]] = self.node._handler.function.__globals__["calls"]
        return calls

    async def ask(self, *numbers: Any) -> list[Any]:
        """Return the outputs of attempts that came together, or their errors."""
        tasks = [self.attempt(n) for n in numbers]
        await turns()
        self.clock.run_out()
        return [
            outcome.output if isinstance(outcome, Done) else error_of(outcome)
            for outcome in await asyncio.gather(*tasks)
        ]


def error_of(outcome: Outcome) -> NodeError:
    assert isinstance(outcome, Failed)
    return outcome.error


async def turns() -> None:
    """Let every task go as far as it can without a thread or a clock."""
    for _ in range(10):
        await asyncio.sleep(0)


def batch_plan(path: Path, size: int, wait_ms: int = 500, concurrency: int = 8, timeout_ms: int = 5_000) -> NodePlan:
    plan = node_plan("function", function=FunctionPlan(str(path), None, "handle"), batch=BatchPlan(size, wait_ms))
    return replace(plan, concurrency=concurrency, timeout_ms=timeout_ms)


Make = Callable[..., Batching]

HEAD = """
import asyncio, threading
from penstock import NonRetryable, RetryAfter
calls = []
"""
ECHO = """
def handle(inputs, contexts):
    calls.append([one["input"]["n"] for one in inputs])
    return [{"n": one["input"]["n"], "run": context.run_id} for one, context in zip(inputs, contexts, strict=True)]
"""


@pytest.fixture
def batching(tmp_path: Path, resources: Resources) -> Make:
    """Write a handler and build the batch node around it."""

    def make(source: str = ECHO, size: int = 3, **limits: Any) -> Batching:
        path = tmp_path / "handler.py"
        path.write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
        clock = Clock()
        return Batching(BatchNode(batch_plan(path, size, **limits), "wf", resources, clock.later), clock)

    return make


def echo(*numbers: int) -> list[dict[str, Any]]:
    return [{"n": n, "run": f"r{n}"} for n in numbers]


async def test_a_full_batch_is_called_at_once(batching: Make) -> None:
    made = batching()
    tasks = [made.attempt(n) for n in (1, 2, 3)]
    outcomes = await asyncio.gather(*tasks)
    assert [outcome.output for outcome in outcomes if isinstance(outcome, Done)] == echo(1, 2, 3)
    assert (made.calls, made.clock.waits) == ([[1, 2, 3]], [])


async def test_the_first_entry_waits_no_longer_than_max_wait(batching: Make) -> None:
    made = batching()
    first = made.attempt(1)
    await turns()
    assert (made.calls, made.clock.waits) == ([], [0.5])
    second = made.attempt(2)
    await turns()
    assert (made.calls, made.clock.waits) == ([], [0.5]), "it is the first one's time that counts"
    made.clock.run_out()
    await asyncio.gather(first, second)
    assert made.calls == [[1, 2]]


async def test_more_than_a_batch_begin_the_next(batching: Make) -> None:
    made = batching()
    assert await made.ask(*range(8)) == echo(*range(8))
    assert sorted(made.calls) == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_nobody_waits_when_there_is_nothing_to_wait_for(tmp_path: Path, resources: Resources) -> None:
    path = tmp_path / "handler.py"
    path.write_text(HEAD + ECHO, encoding="utf-8")
    node = build(batch_plan(path, 100, wait_ms=0), "wf", resources)
    assert isinstance(node, GuardedNode)
    assert isinstance(await node.execute(NodeInput("wf", "r1", "classify", 0, 1, 1, {"input": {"n": 1}})), Done)


@pytest.mark.parametrize("prefix", ["", "async "])
async def test_async_and_plain_handlers_alike(batching: Make, prefix: str) -> None:
    made = batching(ECHO.replace("def handle", f"{prefix}def handle"))
    assert await made.ask(1, 2, 3, 4) == echo(1, 2, 3, 4)
    assert sorted(made.calls) == [[1, 2, 3], [4]]


async def test_an_entry_that_is_an_exception_fails_alone(batching: Make) -> None:
    made = batching(
        """
        answers = [{"ok": 1}, ValueError("bad"), NonRetryable("never"), RetryAfter(1.5, "busy"), KeyboardInterrupt(), 7, None]
        def handle(inputs, contexts):
            calls.append(len(inputs))
            return [answers[one["input"]["n"]] for one in inputs]
        """,
        size=7,
    )
    first, bad, never, busy, interrupt, seven, none = await made.ask(*range(7))
    assert first == {"ok": 1}
    assert [(each.retryable, each.retry_after_ms) for each in (bad, never, busy, interrupt)] == [
        (True, None),
        (False, None),
        (True, 1_500),
        (True, None),
    ]
    assert bad.message.endswith("ValueError: bad")
    assert "handler.py:" in bad.message
    assert [(each.kind, each.retryable) for each in (seven, none)] == [("handler", False)] * 2
    assert "returned int 7, not a JSON object" in seven.message
    assert made.calls == [7]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("[{}, {}]", "returned a list of 2 for 3 inputs: one entry for each, in their order"),
        ("[{}] * 4", "returned a list of 4 for 3 inputs"),
        ("None", "returned None, not a list: one entry for each of 3 inputs"),
        ("{'a': 1}", "returned dict {'a': 1}, not a list"),
        ("({} for _ in inputs)", "returned generator"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "async "])
async def test_what_is_no_list_of_that_length_fails_every_entry(
    batching: Make, prefix: str, answer: str, said: str
) -> None:
    made = batching(f"{prefix}def handle(inputs, contexts):\n    calls.append(len(inputs))\n    return {answer}\n")
    for error in await made.ask(1, 2, 3):
        assert (error.kind, error.retryable) == ("handler", False)
        assert said in error.message
    assert made.calls == [3], "asking again for less would answer the same"


SPLIT = """
{prefix}def handle(inputs, contexts):
    numbers = [one["input"]["n"] for one in inputs]
    calls.append(numbers)
    inputs.clear()
    if 5 in numbers:
        raise {error}
    return [{{"n": n}} for n in numbers]
"""


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize(("error", "retryable"), [("ValueError('five')", True), ("NonRetryable('five')", False)])
async def test_a_batch_that_raises_is_split_until_the_bad_item_is_alone(
    batching: Make, prefix: str, error: str, retryable: bool
) -> None:
    made = batching(SPLIT.format(prefix=prefix, error=error), size=8)
    answers = await made.ask(*range(8))
    assert answers[:5] + answers[6:] == [{"n": n} for n in range(8) if n != 5]
    assert (answers[5].kind, answers[5].retryable) == ("handler", retryable)
    assert "five" in answers[5].message
    assert made.calls == [list(range(8)), [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]


async def test_retry_after_is_about_all(batching: Make) -> None:
    made = batching(SPLIT.format(prefix="", error="RetryAfter(2)"), size=8)
    assert [(error.retryable, error.retry_after_ms) for error in await made.ask(*range(8))] == [(True, 2_000)] * 8
    assert len(made.calls) == 1


async def test_what_an_item_fails_with_holds_no_secret(batching: Make) -> None:
    made = batching(f"def handle(inputs, contexts): return [ValueError('{API_KEY}') for _ in inputs]")
    for error in await made.ask(1, 2):
        assert API_KEY not in error.message + (error.traceback or "")


async def test_who_was_given_up_while_the_batch_fills_is_left_out(batching: Make) -> None:
    made = batching()
    tasks = {n: made.attempt(n) for n in (1, 2)}
    await turns()
    tasks[1].cancel()
    await turns()
    tasks |= {n: made.attempt(n) for n in (3, 4)}
    outcomes = await asyncio.gather(*(tasks[n] for n in (2, 3, 4)))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert made.calls == [[2, 3, 4]]


async def test_a_batch_nobody_waits_for_is_not_called(batching: Make) -> None:
    made = batching()
    alone = made.attempt(1)
    await turns()
    alone.cancel()
    await turns()
    assert made.clock.waits == []
    assert await made.ask(2) == echo(2), "the next one begins a batch of its own"
    assert made.calls == [[2]]


HELD = """
go, seen = asyncio.Event(), []
async def handle(inputs, contexts):
    calls.append([one["input"]["n"] for one in inputs])
    try:
        await go.wait()
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
    seen.append([context.cancelled for context in contexts])
    return [{"n": one["input"]["n"]} for one in inputs]
"""


async def test_who_is_given_up_during_the_call_is_dropped_and_the_others_go_on(batching: Make) -> None:
    made = batching(HELD)
    tasks = [made.attempt(n) for n in (1, 2, 3)]
    await turns()
    tasks[1].cancel()
    await turns()
    made.node._handler.function.__globals__["go"].set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(outcome, "output", type(outcome).__name__) for outcome in done] == [
        {"n": 1},
        "CancelledError",
        {"n": 3},
    ]
    assert made.node._handler.function.__globals__["seen"] == [[False, True, False]]


async def test_a_call_all_have_given_up_is_cancelled(batching: Make) -> None:
    made = batching(HELD, concurrency=1)
    tasks = [made.attempt(n) for n in (1, 2, 3)]
    await turns()
    for task in tasks:
        task.cancel()
    await turns()
    names = made.node._handler.function.__globals__
    assert names["seen"] == ["cancelled"]
    names["go"].set()
    assert await made.ask(4) == [{"n": 4}], "its slot is free again"


async def test_a_timeout_is_every_entrys(batching: Make) -> None:
    made = batching(HELD, timeout_ms=1)
    for error in await made.ask(1, 2, 3):
        assert (error.kind, error.retryable) == ("timeout", True)
        assert error.message == "no result within timeout_ms: 1, in a batch of 3"
    assert made.calls == [[1, 2, 3]]


async def test_no_more_calls_at_once_than_concurrency_and_a_batch_that_waits_fills(batching: Make) -> None:
    made = batching(HELD, concurrency=1)
    tasks = [made.attempt(n) for n in (1, 2, 3, 4)]
    await turns()
    made.clock.run_out()
    await turns()
    assert made.calls == [[1, 2, 3]], "the second batch is due, but waits for a slot"
    tasks += [made.attempt(n) for n in (5, 6, 7)]
    await turns()
    made.clock.run_out()
    made.node._handler.function.__globals__["go"].set()
    await asyncio.gather(*tasks)
    assert made.calls == [[1, 2, 3], [4, 5, 6], [7]]


async def test_a_bug_of_ours_leaves_nobody_waiting(batching: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = batching()
    monkeypatch.setattr(made.node, "_outcome", lambda answer: 1 / 0)
    for outcome in await asyncio.gather(*(made.attempt(n) for n in (1, 2, 3)), return_exceptions=True):
        assert isinstance(outcome, ZeroDivisionError)


def test_runs_of_a_workflow_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "handler.py"
    path.write_text(
        "def handle(inputs, contexts):\n    return [{'twice': 2 * one['input']['n']} for one in inputs]\n", "utf-8"
    )
    function = FunctionPlan(str(path), None, "handle")
    plan = plan_of({"a": ()}, nodes={"a": {"function": function, "batch": BatchPlan(10, 0)}})
    resources = Resources()
    with TopologyTestDriver(plan, build_node=lambda node: build(node, plan.id, resources)) as driver:
        for n in (1, 2):
            driver.pipe("input", {"n": n}, key=f"r{n}")
        results = {read.json["run_id"]: read.json["outputs"] for read in driver.read("output")}
    resources.threads.shutdown()
    assert results == {"r1": {"a": {"twice": 2}}, "r2": {"a": {"twice": 4}}}
