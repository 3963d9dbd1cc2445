"""A person's decision: asked for by a record, given by a record, bound to what was shown (PROTOCOL.md 5, 17).

Everything here follows from the order of the node's own journal: the request is in force once it was read back, the first valid
decision after it counts, and so does the end of the time if it stands before any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.chain import record_hash, shown_hash, text_hash
from schemas.claims import Claim, value_of, written
from schemas.codec import loads
from schemas.quick import replace
from schemas.records import (
    TERMINAL_STATUSES,
    AttemptFailed,
    Decided,
    ErrorInfo,
    Failed,
    Json,
    NodeRow,
    Provenance,
    Refused,
    RetryScheduled,
    ReviewRequested,
    ReviewState,
    ReviewSubmitted,
    Spent,
    Succeeded,
    TimedOut,
)
from streams.core.compiled import inputs_of
from streams.core.limits import size_of
from streams.core.merge_patch import merge_patch
from streams.core.node_context import LOW_CONFIDENCE, Context
from streams.core.node_end import close
from streams.core.submissions import submitted
from streams.core.transition import NOTHING, Transition, send, then
from topology.plan import INPUT

REVIEW = "review"
REJECTED = "rejected"


def provenance(model: str | None, prompt_hash: str | None, response: str | None) -> Provenance:
    """Return where an output comes from."""
    return Provenance(model, prompt_hash, None if model is None or response is None else text_hash(response))


def ask(context: Context, row: NodeRow) -> Transition:
    """Ask a person to decide on what the node sees."""
    plan = context.node.plan
    made_by = {name: got.made_by for name, got in row.gathered.items() if got.made_by is not None}
    shown = written(inputs_of(plan, row))
    return _request(context, row, shown, REVIEW, made_by)


def ask_in_doubt(context: Context, row: NodeRow, record: AttemptFailed) -> Transition:
    """Ask a person to decide on an answer the model was not sure of."""
    node = context.node.plan.id
    made_by = {node: provenance(record.model, record.prompt_hash, record.raw or record.output)}
    shown = written({node: value_of(record.output or "null")})
    return _request(context, row, shown, LOW_CONFIDENCE, made_by)


def on_requested(context: Context, row: NodeRow, record: ReviewRequested) -> Transition:
    """Put the request in force: it was read back, so whatever follows in the journal was decided with it in sight."""
    review = row.review
    if review is None and row.status == "pending":
        return Transition(row=replace(row, review=_adopted(context, record)))  # asked before a crash that lost the row
    if review is None or review.seq != record.seq or review.requested_at is not None or row.closing:
        return NOTHING
    known = replace(review, requested_at=context.moment.offset, due_at=record.due_at, chain=record_hash(record))
    return Transition(row=replace(row, review=known))


def on_submitted(context: Context, row: NodeRow, record: ReviewSubmitted) -> Transition:
    """Let the first valid decision count; say of any other why it does not."""
    if record.source in (row.answered_by, row.review.decided_by if row.review else None):
        return NOTHING  # read again after a crash, maybe when a redrive asks anew already
    why = _why_not(context, row, record)
    if why is not None:
        epoch = row.epoch if record.epoch < 0 else record.epoch
        refused = Refused(
            row.run_id, record.node, epoch, REVIEW, why, record.reviewer, record.submitted_at, record.source
        )
        return Transition(sends=(submitted(context.node.workflow, context.node.plan.topic, refused, row.traceparent),))
    return _decide(context, row, record.decision, record.submitted_at, record)


def on_timed_out(context: Context, row: NodeRow, record: TimedOut) -> Transition:
    """Do what the workflow says for a review that nobody decided on in time."""
    review, plan = row.review, context.node.plan.review
    if review is None or plan is None or record.seq != review.seq or row.closing or row.status != "waiting":
        return NOTHING
    if review.requested_at is None or context.moment.offset < review.requested_at:
        return NOTHING  # a crash lost the request and kept its alarm: the request was written again, with an alarm of its own
    if plan.on_timeout == "escalate" and review.escalation == 0:
        again = _shown(context, row, review)
        return _request(context, row, again, f"nobody of {_named(plan.assignees)} decided in time", {}, review)
    return _decide(context, row, "approve" if plan.on_timeout == "approve" else "reject", record.due_at, None)


# ---- asking ---------------------------------------------------------------------------------------------------------


def _request(
    context: Context,
    row: NodeRow,
    shown: Json,
    reason: str,
    made_by: Mapping[str, Provenance],
    before: ReviewState | None = None,
) -> Transition:
    node, now, seq = context.node, context.moment.now, row.seq + 1
    plan = node.plan.review
    assert plan is not None  # noqa: S101 - the compiler's promise
    due_at = now + plan.timeout_ms
    if before is None and row.review is not None:
        return _wait(context, row, row.review)  # asked before a crash: another request would break the chain
    state = ReviewState(
        seq=seq,
        hash=shown_hash(row.run_id, node.plan.id, row.epoch, loads(shown)),
        shown=shown if row.attempt else Json(""),  # what a review node sees is in its row already
        due_at=due_at,
        chain="" if before is None else before.chain,
        escalation=0 if before is None else before.escalation + 1,
    )
    assignees = plan.escalate_to if state.escalation else plan.assignees
    record = ReviewRequested(
        run_id=row.run_id,
        node=node.plan.id,
        epoch=row.epoch,
        seq=seq,
        shown=shown,
        hash=state.hash,
        assignees=assignees,
        reason=reason,
        requested_at=now,
        due_at=due_at,
        made_by=made_by,
        escalation=state.escalation,
        previous=state.chain,
    )
    asked = Transition(sends=(send(node.plan.topic, record, node.plan.id, row.epoch, seq, row.traceparent),))
    return then(asked, _wait(context, row, state))


def _adopted(context: Context, record: ReviewRequested) -> ReviewState:
    chain, at = record_hash(record), context.moment.offset
    return ReviewState(record.seq, record.hash, Json(""), record.due_at, chain, record.escalation, at)


def _wait(context: Context, row: NodeRow, review: ReviewState) -> Transition:
    node, now = context.node, context.moment.now
    alarm = RetryScheduled(
        row.run_id, node.plan.id, row.epoch, review.seq, review.due_at, row.traceparent or "", REVIEW
    )
    waiting = replace(
        row,
        status="waiting",
        seq=review.seq,
        review=review,
        incarnation=None,
        launch=0,
        started_at=now if row.started_at is None else row.started_at,
    )
    return Transition(
        row=waiting, sends=(send(node.retry_topic, alarm, node.plan.id, row.epoch, review.seq, row.traceparent),)
    )


def _shown(context: Context, row: NodeRow, review: ReviewState) -> Json:
    return review.shown or written(inputs_of(context.node.plan, row))


def _named(assignees: tuple[str, ...]) -> str:
    return ", ".join(assignees) or "anybody"


# ---- deciding -------------------------------------------------------------------------------------------------------


def _why_not(context: Context, row: NodeRow, record: ReviewSubmitted) -> str | None:
    review, plan = row.review, context.node.plan.review
    if record.epoch >= 0 and record.epoch != row.epoch:
        return f"epoch {record.epoch} is not under review: epoch {row.epoch} runs"
    if review is None or plan is None:
        return "no review was asked for" if row.status not in TERMINAL_STATUSES else f"the node is {row.status} already"
    if review.decided_by is not None:
        return "somebody decided before"
    if row.closing or row.status in TERMINAL_STATUSES:
        ended = "cancelled" if row.status == "cancelled" else "over: its time ran out"
        return f"the review is {ended}"
    if review.requested_at is None or context.moment.offset < review.requested_at:
        return "its time ran out, others are asked" if review.escalation else "nothing was shown yet"
    if record.hash is not None and record.hash != review.hash:
        return f"what was reviewed ({record.hash[:12]}...) is not what is shown ({review.hash[:12]}...)"
    return _edit_refused(context, row, review, record.edit) if record.edit is not None else None


def _edit_refused(context: Context, row: NodeRow, review: ReviewState, edit: Json) -> str | None:
    """Return why an edit is refused: it must fit the form, or leave an answer that fits the node's schema."""
    if context.node.form is None:
        return "edit: the workflow gives no form_schema, so nothing may be edited"
    wanted = loads(edit)
    if context.node.plan.kind != "review":
        wanted = merge_patch(_doubtful(context, review), wanted)
        if isinstance(wanted, Claim):
            return "edit: the answer is in the claim store, where nobody can say whether it fits after it"
    problems = context.node.form.validate(wanted)
    return f"edit: {'; '.join(problems)}" if problems else None


def _decide(context: Context, row: NodeRow, decision: str, at: int, by: ReviewSubmitted | None) -> Transition:
    """Write the decision and the end that follows from it; both say the same again should a crash have them written twice."""
    node, review = context.node.plan, row.review
    assert review is not None  # noqa: S101 - nothing else is decided on
    decided = Decided(
        run_id=row.run_id,
        node=node.id,
        epoch=row.epoch,
        seq=review.seq,
        decision=decision,
        reviewer=by.reviewer if by else None,
        comment=by.comment if by else None,
        edit=by.edit if by else None,
        hash=review.hash,
        decided_at=at,
        source=by.source if by else None,
        previous=review.chain,
        submitted=record_hash(by) if by else None,
    )
    source = by.source if by else None
    known = replace(review, chain=record_hash(decided), decided_by=source)
    row = replace(row, review=known)
    wrote = Transition(sends=(send(node.topic, decided, node.id, row.epoch, review.seq, row.traceparent),))
    return then(wrote, close(context, row, _end(context, row, decided)))


def _end(context: Context, row: NodeRow, decided: Decided) -> Succeeded | Failed:
    plan = context.node.plan
    if decided.decision != "approve":
        error = ErrorInfo(REJECTED, _reason(context, decided), retryable=False)
        return _failed(context, row, decided, error)
    output = _output(context, row, decided)
    most = context.node.limits.reviewed
    if size_of(output) > most:
        message = f"the output has {size_of(output)} bytes, {most} are allowed"
        return _failed(context, row, decided, ErrorInfo("too_large", message, retryable=False))
    began = row.started_at if row.started_at is not None else decided.decided_at
    return Succeeded(
        row.run_id,
        plan.id,
        row.epoch,
        decided.seq,
        row.attempt,
        output,
        Spent(),
        row.model,
        began,
        decided.decided_at,
    )


def _failed(context: Context, row: NodeRow, decided: Decided, error: ErrorInfo) -> Failed:
    return Failed(row.run_id, context.node.plan.id, row.epoch, decided.seq, row.attempt, error, decided.decided_at)


def _reason(context: Context, decided: Decided) -> str:
    if decided.source is None:
        return "rejected: nobody decided in time"
    said = f": {decided.comment}" if decided.comment else ""
    return f"rejected by {decided.reviewer or 'somebody'}{said}"


def _output(context: Context, row: NodeRow, decided: Decided) -> Json:
    """Return what the node gives on: the approval and what was approved, or the answer that was in doubt."""
    edit = None if decided.edit is None else loads(decided.edit)
    review = row.review
    assert review is not None  # noqa: S101 - it was decided on
    if context.node.plan.kind != "review":
        answer = _doubtful(context, review)
        return written(answer if edit is None else merge_patch(answer, edit))
    reviewed = _reviewed(context, row)
    return written(
        {
            "decision": decided.decision,
            "reviewer": decided.reviewer,
            "comment": decided.comment,
            "edit": edit,
            "output": reviewed if edit is None else merge_patch(reviewed, edit),
        }
    )


def _doubtful(context: Context, review: ReviewState) -> Any:
    return value_of(review.shown)[context.node.plan.id]


def _reviewed(context: Context, row: NodeRow) -> Any:
    """Return what was reviewed: the output of the only dependency, those of several by node, the input where there is none."""
    plan = context.node.plan
    inputs = inputs_of(plan, row)
    match plan.dependencies:
        case ():
            return inputs.get(INPUT)
        case (only,):
            return inputs.get(only)
        case several:
            return {name: inputs.get(name) for name in several}
