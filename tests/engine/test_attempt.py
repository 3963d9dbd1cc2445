"""One attempt: within its timeout, and whatever the node hands back becomes one record that can be written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.codec import decode, encode
from schemas.records import AttemptFailed, ErrorInfo, Gathered, Json, NodeRow, Spent, Succeeded
from streams.core.limits import MAX_OUTPUT_BYTES
from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome, Usage
from streams.core.transition import Send, send
from streams.engine.attempt import attempt
from streams.testing import answers
from tests.core.examples import RUN, TRACE, node
from topology.plan import NodePlan

PLAN = node(timeout_ms=1).plan
ROW = NodeRow(
    RUN,
    "running",
    seq=3,
    attempt=2,
    started=True,
    gathered={"input": Gathered("success", Json('{"n":1}')), "up": Gathered("failed")},
    idempotency_key="k",
    last_error=ErrorInfo("timeout", "late", True, 5, "trace"),
    traceparent=TRACE,
)


class Clock:
    """Ten more at every look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 10
        return self.now


async def made(*outcomes: Any, plan: NodePlan = PLAN) -> Send:
    return await attempt("wf", plan, answers(*outcomes), ROW, Clock())


async def test_done_is_succeeded_on_the_node_s_journal() -> None:
    found = await made(Done({"a": "é"}, Usage(3, 5), 0.25, "m"))
    record = Succeeded(RUN, "n", 0, 3, 2, Json('{"a":"é"}'), Spent(3, 5, 0.25), "m", 10, 20)
    assert found == send("wf.n", record, "n", 0, 3, TRACE)
    assert dict(found.headers)["ce_id"] == b"r1/n/0/3/Succeeded"


async def test_each_attempt_has_inputs_of_its_own() -> None:
    """Whatever a handler did to those of the attempt before."""
    seen: list[Any] = []

    class Spoils:
        async def execute(self, node_input: NodeInput) -> Outcome:
            inputs: Any = node_input.inputs
            seen.append(dict(inputs["input"]))
            inputs["input"]["n"] = "spoilt"
            return Done({})

    for _ in range(2):
        await attempt("wf", PLAN, Spoils(), ROW, Clock())
    assert seen == [{"n": 1}, {"n": 1}]


async def test_failed_is_attempt_failed_and_is_paid_all_the_same() -> None:
    error = NodeError("rate_limited", "slow", True, 1500, "trace")
    found = await made(Failed(error, Usage(1, 2), None, "m", "raw"))
    info = ErrorInfo("rate_limited", "slow", True, 1500, "trace")
    record = AttemptFailed(RUN, "n", 0, 3, 2, info, Spent(1, 2, None), "m", "raw", 10, 20)
    assert found == send("wf.n", record, "n", 0, 3, TRACE)


@pytest.mark.parametrize(
    ("answer", "kept"), [({"n": 3}, '{"n":3}'), ({"n": "x" * MAX_OUTPUT_BYTES}, None), ({"n": "\ud800"}, None)]
)
async def test_an_answer_in_doubt_goes_with_the_failure_if_a_record_can_hold_it(
    answer: dict[str, Any], kept: str | None
) -> None:
    found = await made(Failed(NodeError("low_confidence", "0.2"), output=answer))
    assert isinstance(found.value, AttemptFailed)
    assert found.value.output == kept


async def test_the_node_sees_its_inputs_and_its_previous_error() -> None:
    scripted = answers({})
    await attempt("wf", PLAN, scripted, ROW, Clock())
    assert scripted.calls == [
        NodeInput(
            workflow_id="wf",
            run_id=RUN,
            node="n",
            epoch=0,
            seq=3,
            attempt=2,
            inputs={"input": {"n": 1}, "up": None},
            idempotency_key="k",
            previous_error=NodeError("timeout", "late", True),
            headers={"traceparent": TRACE},
        )
    ]


class Hangs:
    """Never answers."""

    async def execute(self, node_input: NodeInput) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError(node_input)


async def test_a_timeout_is_a_failed_attempt() -> None:
    record = (await attempt("wf", PLAN, Hangs(), ROW, Clock())).value
    assert isinstance(record, AttemptFailed)
    assert record.error == ErrorInfo("timeout", "no result within timeout_ms: 1", True)
    assert record.spent == Spent(0, 0, 0.0)  # a function costs nothing, however it ends


async def test_an_abort_is_not_taken_for_a_timeout() -> None:
    task = asyncio.create_task(attempt("wf", node(timeout_ms=60_000).plan, Hangs(), ROW, Clock()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_output_that_is_too_large_fails_for_good() -> None:
    fits = "x" * (MAX_OUTPUT_BYTES - len('{"a":""}'))
    assert isinstance((await made({"a": fits})).value, Succeeded)
    record = (await made(Done({"a": fits + "x"}, Usage(1, 1), 0.5, "m"))).value
    assert isinstance(record, AttemptFailed)
    assert (record.error.kind, record.error.retryable, record.spent) == ("too_large", False, Spent(1, 1, 0.5))


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"x": value}
    return value


OUTCOMES: dict[str, Outcome] = {
    "a wait beyond 64 bits": Failed(NodeError("handler", "later", True, 10**33)),
    "a lone surrogate in a message": Failed(NodeError("handler", "no such file: \udcff", True)),
    "a lone surrogate in a traceback": Failed(NodeError("handler", "m", True, None, "\udcff")),
    "a lone surrogate in a raw answer": Failed(NodeError("schema", "m", True), model="m\udcff", raw="\udcff" * 9),
    "a lone surrogate in a model's name": Done({}, model="m\udcff"),
    "an output nested too deeply": Done(deep(300)),
}


@pytest.mark.parametrize("which", OUTCOMES)
async def test_whatever_a_node_hands_back_can_be_written(which: str) -> None:
    """An exception here would end the worker, and the next one too: the attempt is made again after every restart."""
    record = (await made(OUTCOMES[which])).value
    assert isinstance(record, Succeeded | AttemptFailed)
    assert decode(encode(record)) == record
