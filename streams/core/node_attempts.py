"""A node's attempts: the next one, with which model, and whether the budget allows it."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.quick import quick, replace
from schemas.records import (
    AttemptDeferred,
    AttemptDue,
    AttemptFailed,
    Cancelled,
    ErrorInfo,
    ModelSwitched,
    NodeRow,
    RetryScheduled,
)
from streams.core.compiled import inputs_of
from streams.core.dead_letter import MAX_CAUSE
from streams.core.external import ask
from streams.core.ledger import Cost, Ledger, launch_key
from streams.core.limits import cut
from streams.core.node_context import LOW_CONFIDENCE, Context
from streams.core.node_end import close, fail, lost
from streams.core.retry import next_due
from streams.core.review import ask_in_doubt
from streams.core.transition import NOTHING, Send, Transition, send, then
from topology.templates import TemplateError

OWN_FAULTS = frozenset({"template", "internal", "too_large"})
"""Failures that another model would only repeat."""

DEADLINE = "deadline"
RATE_LIMITED = "rate_limited"


@quick
@dataclass(frozen=True, slots=True)
class _Choice:
    """The model that is asked, and the ledger with the call reserved."""

    index: int
    ledger: Ledger | None


def launch(context: Context, row: NodeRow, choice: int | None = None, why: str = "") -> Transition:
    """Return the row with its next attempt running; `choice` names another model to go on with, and `why`."""
    if row.deadline_at is not None and context.moment.now >= row.deadline_at:
        return _out_of_time(context, row)
    wanted = row.choice if choice is None else choice
    found = _affordable(context, row, wanted, row.seq + 1, 0)
    if isinstance(found, ErrorInfo):
        return fail(context, row, found)
    switch: tuple[Send, ...] = ()
    if found.index != row.choice:
        switch = _switch(context, row, found.index, why if found.index == wanted else "budget")
        row = replace(row, choice=found.index, tries_before=row.attempt)
    now = context.moment.now
    running = replace(
        row,
        status="running",
        seq=row.seq + 1,
        launch=0,
        attempt=row.attempt + 1,
        incarnation=context.moment.incarnation,
        launched_at=now,
        started_at=now if row.started_at is None else row.started_at,
    )
    if context.node.plan.requests_topic is not None:
        return Transition(row=replace(running, answered_by=None), sends=ask(context, running))
    return Transition(row=running, launch=True, sends=switch, ledger=found.ledger)


def relaunch(context: Context, row: NodeRow) -> Transition:
    """Return the row of an attempt nobody works on as this worker's own from now, with a reservation of its own.

    A launch that its owner gave back, or never made, keeps its number and its reservation: unless that is not there, since the
    row was durable and the ledger's was not, or did not count. One that may have been made is charged in full.
    """
    moment, number = context.moment, row.launch
    again, charge = replace(row, incarnation=moment.incarnation, launched_at=moment.now), NOTHING
    if row.incarnation not in (None, moment.incarnation):
        number, charge = row.launch + 1, Transition(sends=lost(context, row))
    elif _is_reserved(context, row):
        return Transition(row=again, launch=True)
    found = _affordable(context, row, row.choice, row.seq, number)
    if isinstance(found, ErrorInfo):
        return then(charge, fail(context, row, found))
    if found.index != row.choice:  # another model's call is another attempt
        waiting = replace(row, status="waiting", attempt=row.attempt - 1)
        return then(charge, launch(context, waiting, found.index, "budget"))
    return then(charge, Transition(row=replace(again, launch=number), launch=True, ledger=found.ledger))


def on_failed(context: Context, row: NodeRow, record: AttemptFailed) -> Transition:
    """Try again after a while, go on with the next model, or fail. A launch since is charged: its worker may be gone."""
    if row.status != "running" or record.seq != row.seq:
        return NOTHING  # a repeat of an attempt that was already answered
    found = _after_failure(context, row, record)
    return found if record.launch == row.launch else then(Transition(sends=lost(context, row)), found)


def _after_failure(context: Context, row: NodeRow, record: AttemptFailed) -> Transition:
    error, moment = record.error, context.moment
    row = replace(
        row,
        last_error=error,
        last_raw=cut(record.raw, MAX_CAUSE),
        spent=row.spent + record.spent,
        model=record.model or row.model,
        deferrals=0,
    )
    tries = record.attempt - row.tries_before
    if error.kind == LOW_CONFIDENCE and context.node.plan.review is not None and record.output is not None:
        return ask_in_doubt(context, row, record)
    if error.kind == RATE_LIMITED and _leaves_throttled(context, row):
        return launch(context, row, row.choice + 1, RATE_LIMITED)
    due_at = next_due(context.node.plan.retry, tries, error, moment.now, moment.jitter)
    if due_at is not None:
        return _wait(context, row, due_at)
    if _has_next_model(context, row) and _may_fall_back(context, error):
        why = LOW_CONFIDENCE if error.kind == LOW_CONFIDENCE else "retries_exhausted"
        return launch(context, row, row.choice + 1, why)
    return fail(context, row, error)


def on_deferred(context: Context, row: NodeRow, record: AttemptDeferred) -> Transition:
    """No attempt was burnt: go on with the next model if the breaker is open or the node does not wait for a limit, else wait."""
    if row.status != "running" or record.seq != row.seq or record.launch != row.launch:
        return NOTHING
    row = replace(row, attempt=row.attempt - 1, deferrals=row.deferrals + 1)
    leaves = record.reason == "breaker_open" and _has_next_model(context, row)
    if leaves or (record.reason == RATE_LIMITED and _leaves_throttled(context, row)):
        return launch(context, row, row.choice + 1, record.reason)
    return _wait(context, row, record.due_at)


def on_due(context: Context, row: NodeRow, record: AttemptDue) -> Transition:
    """Make the attempt whose wait is over."""
    if row.status != "waiting" or row.closing or record.seq != row.seq:
        return NOTHING
    return launch(context, row)


def _wait(context: Context, row: NodeRow, due_at: int) -> Transition:
    node = context.node
    scheduled = RetryScheduled(row.run_id, node.plan.id, row.epoch, row.seq, due_at, row.traceparent or "")
    return Transition(
        row=replace(row, status="waiting", incarnation=None, launch=0),
        sends=(send(node.retry_topic, scheduled, node.plan.id, row.epoch, row.seq, row.traceparent),),
    )


def _out_of_time(context: Context, row: NodeRow) -> Transition:
    record = Cancelled(row.run_id, context.node.plan.id, row.epoch, row.seq, context.moment.now, DEADLINE)
    return close(context, row, record)


# ---- models and money -----------------------------------------------------------------------------------------------


def _has_next_model(context: Context, row: NodeRow) -> bool:
    llm = context.node.plan.llm
    return llm is not None and row.choice + 1 < len(llm.models)


def _leaves_throttled(context: Context, row: NodeRow) -> bool:
    llm = context.node.plan.llm
    return llm is not None and llm.on_rate_limit == "fallback" and _has_next_model(context, row)


def _may_fall_back(context: Context, error: ErrorInfo) -> bool:
    llm = context.node.plan.llm
    if error.kind == LOW_CONFIDENCE:
        return llm is not None and llm.on_low_confidence == "fallback"
    return error.kind not in OWN_FAULTS


def _is_reserved(context: Context, row: NodeRow) -> bool:
    key = launch_key(context.node.plan.id, row.epoch, row.seq, row.launch)
    return context.ledger is None or context.ledger.reserved(key) is not None


def _affordable(context: Context, row: NodeRow, choice: int, seq: int, number: int) -> _Choice | ErrorInfo:
    """Return the first model from `choice` on whose call fits the budget, reserved; else why none does."""
    node, ledger = context.node, context.ledger
    if ledger is None or node.prompt is None or node.plan.llm is None:
        return _Choice(choice, ledger)
    try:
        messages = node.prompt.messages(inputs_of(node.plan, row), row.last_error)
    except TemplateError as error:
        return ErrorInfo("template", str(error), retryable=False)
    prompt_tokens, output_tokens = node.prompt.most_prompt_tokens(messages), node.plan.llm.max_output_tokens
    key, why = launch_key(node.plan.id, row.epoch, seq, number), ""
    for index in range(choice, len(node.plan.llm.models)):
        price = node.prices.get(node.plan.llm.models[index])
        cost = 0.0 if price is None else price.cost_usd(prompt_tokens, output_tokens)
        reserved = ledger.reserve(key, Cost(prompt_tokens + output_tokens, cost))
        if isinstance(reserved, Ledger):
            return _Choice(index, reserved)
        why = why or reserved
    return ErrorInfo("budget", why, retryable=False)


def _switch(context: Context, row: NodeRow, index: int, why: str) -> tuple[Send, ...]:
    plan = context.node.plan
    assert plan.llm is not None  # noqa: S101 - nothing else has models
    names = plan.llm.models
    record = ModelSwitched(
        row.run_id, plan.id, row.epoch, row.seq + 1, names[row.choice], names[index], why, context.moment.now
    )
    return (send(plan.topic, record, plan.id, row.epoch, row.seq + 1, row.traceparent),)
