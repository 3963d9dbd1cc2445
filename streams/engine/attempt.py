"""One attempt of a node: run it within its timeout and say in one record what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson

from schemas.records import AttemptFailed, ErrorInfo, Json, NodeRow, Spent, Succeeded
from streams.core.compiled import inputs_of
from streams.core.limits import MAX_KEY, MAX_MESSAGE, MAX_OUTPUT_BYTES, MAX_RAW, MAX_TRACEBACK, cut
from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome
from streams.core.retry import MAX_WAIT_MS
from streams.core.transition import Send, send
from topology.plan import NodePlan


class Node(Protocol):
    """A node kind at work; `execute` never raises but for its own cancellation."""

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Run one attempt."""
        ...


async def attempt(workflow: str, plan: NodePlan, node: Node, row: NodeRow, clock: Callable[[], int]) -> Send:
    """Run the attempt that `row` stands for; return `Succeeded` or `AttemptFailed` for the node's journal."""
    began = clock()
    outcome = await _within(plan.timeout_ms, node.execute(_input_of(workflow, plan, row)))
    outcome, output = _output_of(outcome)
    record: Succeeded | AttemptFailed
    spent = Spent(outcome.usage.prompt_tokens, outcome.usage.completion_tokens, outcome.cost_usd)
    if isinstance(outcome, Done):
        record = Succeeded(
            row.run_id,
            plan.id,
            row.epoch,
            row.seq,
            row.attempt,
            output,
            spent,
            cut(outcome.model, MAX_KEY),
            began,
            clock(),
        )
    else:
        error = _error_of(outcome.error)
        record = AttemptFailed(
            row.run_id,
            plan.id,
            row.epoch,
            row.seq,
            row.attempt,
            error,
            spent,
            cut(outcome.model, MAX_KEY),
            cut(outcome.raw, MAX_RAW),
            began,
            clock(),
        )
    return send(plan.topic, record, plan.id, row.epoch, row.seq, row.traceparent)


def _input_of(workflow: str, plan: NodePlan, row: NodeRow) -> NodeInput:
    last = row.last_error
    return NodeInput(
        workflow_id=workflow,
        run_id=row.run_id,
        node=plan.id,
        epoch=row.epoch,
        seq=row.seq,
        attempt=row.attempt,
        inputs=inputs_of(plan, row.gathered),
        idempotency_key=row.idempotency_key,
        previous_error=None if last is None else NodeError(last.kind, last.message, last.retryable),
        headers={"traceparent": row.traceparent} if row.traceparent else {},
    )


async def _within(timeout_ms: int, work: Awaitable[Outcome]) -> Outcome:
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled it: a library did so to itself. Without a record the row would say `running` for ever.
        return Failed(NodeError("internal", "the node cancelled itself"), cost_usd=None)
    except TimeoutError:
        return Failed(NodeError("timeout", f"no result within timeout_ms: {timeout_ms}"), cost_usd=None)


def _error_of(error: NodeError) -> ErrorInfo:
    wait = None if error.retry_after_ms is None else max(0, min(error.retry_after_ms, MAX_WAIT_MS))
    return ErrorInfo(
        error.kind, cut(error.message, MAX_MESSAGE) or "", error.retryable, wait, cut(error.traceback, MAX_TRACEBACK)
    )


def _output_of(outcome: Outcome) -> tuple[Outcome, Json]:
    """Return the outcome and its output as JSON text; one that is too large is a failure that no retry mends."""
    if isinstance(outcome, Failed):
        return outcome, Json("")
    try:
        output = orjson.dumps(outcome.output)
    except TypeError as problem:  # nested too deeply, a lone surrogate
        error = NodeError("malformed_output", f"the output cannot be written as JSON: {problem}", retryable=False)
        return Failed(error, outcome.usage, outcome.cost_usd, outcome.model), Json("")
    if len(output) <= MAX_OUTPUT_BYTES:
        return outcome, Json(output.decode())
    message = f"the output has {len(output)} bytes, {MAX_OUTPUT_BYTES} are allowed"
    error = NodeError("too_large", message, retryable=False)
    return Failed(error, outcome.usage, outcome.cost_usd, outcome.model), Json("")
