"""One attempt of a node: run it within its timeout and say in one record what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, cast

import orjson

from schemas.claims import a_claim_in
from schemas.quick import replace
from schemas.records import AttemptDeferred, AttemptFailed, ErrorInfo, Json, NodeRow, Spent, Succeeded
from streams.claims.claims import Claims
from streams.core.ahead import is_partial
from streams.core.compiled import inputs_of
from streams.core.limits import MAX_KEY, MAX_MESSAGE, MAX_OUTPUT_BYTES, MAX_RAW, MAX_TRACEBACK, cut
from streams.core.outcome import Deferred, Done, Failed, NodeError, NodeInput, Outcome
from streams.core.retry import MAX_WAIT_MS
from streams.core.transition import Send, send
from streams.engine.allowance import patience_ms
from streams.engine.begun import Begun
from streams.engine.deltas import Deltas
from streams.engine.outside import Outside
from streams.errors import EngineFailure
from topology.plan import NodePlan


class Node(Protocol):
    """A node kind at work; `execute` never raises but for its own cancellation."""

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Run one attempt."""
        ...


async def attempt(
    workflow: str,
    plan: NodePlan,
    node: Node,
    row: NodeRow,
    clock: Callable[[], int],
    deltas: Deltas | None = None,
    outside: Outside | None = None,
) -> Send:
    """Run the attempt that `row` stands for; return what the node's journal is to say of it, once its `deltas` are written."""
    began, node_input = clock(), _input_of(workflow, plan, row)
    claim: Json | None = None
    if outside is None and any(a_claim_in(value) for value in node_input.inputs.values()):
        outside = Outside(Claims())  # no store is allowed any more: that is what the attempt is to say
    if outside is not None:
        outcome, claim = await _outside(plan, node, node_input, deltas, outside)
    else:
        outcome = await _executed(plan, node, node_input, deltas)
    if isinstance(outcome, Deferred):
        record: AttemptDeferred | Succeeded | AttemptFailed = _deferred(plan, row, outcome, clock())
    else:
        record = _ended(plan, row, outcome, began, clock(), claim)
    return send(plan.topic, record, plan.id, row.epoch, row.seq, row.traceparent)


async def _outside(
    plan: NodePlan, node: Node, node_input: NodeInput, deltas: Deltas | None, outside: Outside
) -> tuple[Outcome, Json | None]:
    """Run an attempt on claimed values; return its outcome and, where the output is claimed in its turn, the claim."""
    seen = await outside.seen(node_input)
    if isinstance(seen, Failed):
        return seen, None
    outcome = await _executed(plan, node, seen, deltas)
    return (outcome, None) if isinstance(outcome, Deferred) else await outside.put(outcome)


async def _executed(plan: NodePlan, node: Node, node_input: NodeInput, deltas: Deltas | None) -> Outcome:
    if deltas is None:
        return await _within(plan, node.execute(node_input))
    try:
        outcome = await _within(plan, node.execute(replace(node_input, on_delta=deltas.add)))
    except asyncio.CancelledError:
        deltas.abandon()
        raise
    await deltas.close()
    return outcome


def _deferred(plan: NodePlan, row: NodeRow, outcome: Deferred, now: int) -> AttemptDeferred:
    return AttemptDeferred(
        row.run_id,
        plan.id,
        row.epoch,
        row.seq,
        row.attempt,
        row.launch,
        outcome.reason,
        cut(outcome.message, MAX_MESSAGE) or "",
        cut(outcome.model, MAX_KEY),
        min(max(outcome.until_ms, now), now + MAX_WAIT_MS),
        now,
    )


def _ended(
    plan: NodePlan, row: NodeRow, outcome: Done | Failed, began: int, ended: int, claim: Json | None = None
) -> Succeeded | AttemptFailed:
    outcome, output = _output_of(outcome) if claim is None else (outcome, claim)
    spent = Spent(outcome.usage.prompt_tokens, outcome.usage.completion_tokens, outcome.cost_usd)
    model, raw = cut(outcome.model, MAX_KEY), cut(outcome.raw, MAX_RAW)
    if isinstance(outcome, Done):
        return Succeeded(
            row.run_id,
            plan.id,
            row.epoch,
            row.seq,
            row.attempt,
            output,
            spent,
            model,
            began,
            ended,
            row.launch,
            metered=outcome.metered,
            raw=raw,
            prompt_hash=outcome.prompt_hash,
            first_token_ms=outcome.first_token_ms,
            request_hash=outcome.request_hash,
            reused=outcome.reused,
        )
    return AttemptFailed(
        row.run_id,
        plan.id,
        row.epoch,
        row.seq,
        row.attempt,
        _error_of(outcome.error),
        spent,
        model,
        raw,
        began,
        ended,
        row.launch,
        metered=outcome.metered,
        prompt_hash=outcome.prompt_hash,
        output=claim if claim is not None or outcome.output is None else _written(outcome.output),
    )


def _written(output: Mapping[str, Any]) -> Json | None:
    """Return an answer in doubt as JSON text, None if no record can hold it."""
    try:
        text = orjson.dumps(output)
    except TypeError:
        return None
    return Json(text.decode()) if len(text) <= MAX_OUTPUT_BYTES else None


def _input_of(workflow: str, plan: NodePlan, row: NodeRow) -> NodeInput:
    if is_partial(row):
        raise EngineFailure(
            f"run {row.run_id}, node {plan.id}: the row of a source, which has what this one leaves out, is not there: were "
            "records of a changelog deleted?"
        )
    last = row.last_error
    return NodeInput(
        workflow_id=workflow,
        run_id=row.run_id,
        node=plan.id,
        epoch=row.epoch,
        seq=row.seq,
        attempt=row.attempt,
        inputs=inputs_of(plan, row),
        model=plan.llm.models[min(row.choice, len(plan.llm.models) - 1)] if plan.llm else None,
        deferred=row.deferrals > 0,
        last_chance=_is_last_chance(plan, row),
        idempotency_key=row.idempotency_key,
        previous_error=None if last is None else NodeError(last.kind, last.message, last.retryable),
        headers={"traceparent": row.traceparent} if row.traceparent else {},
    )


def _is_last_chance(plan: NodePlan, row: NodeRow) -> bool:
    models = 1 if plan.llm is None else len(plan.llm.models)
    return row.attempt - row.tries_before > plan.retry.max_retries and row.choice + 1 >= models


async def _within(plan: NodePlan, work: Coroutine[Any, Any, Outcome]) -> Outcome:
    calls = plan.llm is not None
    unknown = None if calls else 0.0  # what a call cost that nobody heard the end of; other nodes cost nothing
    try:
        begun = Begun(work)
        if begun.done:
            return cast("Outcome", begun.result)
        async with asyncio.timeout(patience_ms(plan) / 1000):
            return await begun
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled it: a library did so to itself. Without a record the row would say `running` for ever.
        return Failed(NodeError("internal", "the node cancelled itself"), cost_usd=unknown, metered=not calls)
    except TimeoutError:
        error = NodeError("timeout", f"no result within timeout_ms: {plan.timeout_ms}")
        return Failed(error, cost_usd=unknown, metered=not calls)


def _error_of(error: NodeError) -> ErrorInfo:
    wait = None if error.retry_after_ms is None else max(0, min(error.retry_after_ms, MAX_WAIT_MS))
    return ErrorInfo(
        error.kind, cut(error.message, MAX_MESSAGE) or "", error.retryable, wait, cut(error.traceback, MAX_TRACEBACK)
    )


def _output_of(outcome: Done | Failed) -> tuple[Done | Failed, Json]:
    """Return the outcome and its output as JSON text; one that is too large is a failure that no retry mends."""
    if isinstance(outcome, Failed):
        return outcome, Json("")
    try:
        output = orjson.dumps(outcome.output)
    except TypeError as problem:  # nested too deeply, a lone surrogate
        error = NodeError("malformed_output", f"the output cannot be written as JSON: {problem}", retryable=False)
        return _unusable(outcome, error), Json("")
    if len(output) <= MAX_OUTPUT_BYTES:
        return outcome, Json(output.decode())
    message = f"the output has {len(output)} bytes, {MAX_OUTPUT_BYTES} are allowed"
    return _unusable(outcome, NodeError("too_large", message, retryable=False)), Json("")


def _unusable(outcome: Done, error: NodeError) -> Failed:
    return Failed(
        error, outcome.usage, outcome.cost_usd, outcome.model, outcome.raw, outcome.metered, outcome.prompt_hash
    )
