"""What the run agent decides: it alone says how a run ended, from the winning node records only, and writes its result.

What opens a further epoch is in `run_epochs`.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.chain import head_of, record_hash
from schemas.codec import decode as decode_record
from schemas.codec import encode
from schemas.quick import replace
from schemas.records import (
    STATUS_OF,
    TERMINAL,
    TERMINAL_STATUSES,
    AttemptFailed,
    Cancelled,
    CancelRequested,
    Decided,
    EpochOpened,
    ErrorInfo,
    Failed,
    Finished,
    NodeOutcome,
    NodeRecord,
    RedriveRequested,
    ResultReceived,
    ReviewRequested,
    ReviewSubmitted,
    RunRecord,
    RunRow,
    RunStatus,
    Spent,
    Started,
    Succeeded,
    Terminal,
    TimerRow,
)
from streams.core.dead_letter import conflicting_start
from streams.core.limits import size_of
from streams.core.node_context import stops
from streams.core.result import result_record
from streams.core.run_epochs import Plans, on_opened, on_redrive, open_next
from streams.core.submissions import refuse_expired
from streams.core.timer_agent import deadline_key, deadline_timer
from streams.core.transition import NOTHING, Send, Transition, send, then
from topology.limits import limits_of
from topology.plan import WorkflowPlan

ACTED_ON = (*TERMINAL, AttemptFailed, ReviewRequested, Decided)
"""What nodes' journals hold that the run's row keeps."""


def decide(
    plan: WorkflowPlan,
    row: RunRow | None,
    record: RunRecord | NodeRecord,
    now: int = 0,
    offset: int = 0,
    versions: Mapping[str, WorkflowPlan] | None = None,
) -> Transition:
    """Return what follows for the run from a record of its journal or of a node's.

    `offset` is the record's own: a redrive opens the epoch of that number, so that the count never starts anew. `plan` is the
    current version; `versions` has those that runs began with, by hash.
    """
    plans = Plans(plan, versions or {})
    found = _decide(plans, row or RunRow(record.run_id), record, now, offset)
    return found if found.row is None else _replay(plans, found, now)


def expire(plan: WorkflowPlan, row: RunRow | None, timer: TimerRow, now: int) -> Transition:
    """Return what follows when a run's deadline is reached: every node that has not ended is cancelled."""
    if row is None or row.status != "running" or row.epoch != timer.epoch:
        return Transition(delete=True)
    return Transition(delete=True, sends=_cancel(plan, row, now, "deadline"))


def _decide(plans: Plans, row: RunRow, record: RunRecord | NodeRecord, now: int, offset: int) -> Transition:
    plan = plans.current
    match record:
        case Started():
            return _on_started(plans, row, record, offset)
        case RedriveRequested():
            return on_redrive(plans, row, record, now, offset)
        case EpochOpened():
            return _hold(row, record) if _is_ahead(row, record) else _on_opened(plans, row, record, now)
        case CancelRequested():
            # Intake has written the first epoch's `Cancelled` itself; of the others it knows nothing.
            again = row.status == "running" and row.epoch > 0
            return Transition(sends=_cancel(plan, row, now, None)) if again else NOTHING
        case ReviewSubmitted() | ResultReceived() if row.retired:
            return Transition(sends=(refuse_expired(plan, record),))  # the node's agent has no row of it any more
        case _ if not isinstance(record, ACTED_ON):
            return NOTHING
    if _is_ahead(row, record):
        return _hold(row, record)
    if row.status != "running" and not plan.node(record.node).background:
        return NOTHING  # its result is written; late records change nothing
    match record:
        case AttemptFailed():
            return _on_attempt_failed(row, record)
        case ReviewRequested() | Decided():
            return _on_linked(row, record)
    return _on_terminal(plans, row, record, now)


def _on_opened(plans: Plans, row: RunRow, record: EpochOpened, now: int) -> Transition:
    """Begin the epoch; where only background nodes are reopened, there is nothing its result has to wait for."""
    found = on_opened(plans, row, record)
    if not isinstance(found.row, RunRow):
        return found
    return then(found, _finish_if_done(plans, found.row, now))


def _is_ahead(row: RunRow, record: EpochOpened | NodeRecord) -> bool:
    """Say whether a record belongs to an epoch whose opening was not read yet, or whose time has not come."""
    if isinstance(record, EpochOpened):
        return record.epoch > row.epoch and row.status == "running"
    return record.epoch > row.nodes.get(record.node, _PENDING).epoch


_PENDING = NodeOutcome()


def _hold(row: RunRow, record: EpochOpened | NodeRecord) -> Transition:
    raw = encode(record)
    return NOTHING if raw in row.ahead else Transition(row=replace(row, ahead=(*row.ahead, raw)))


def _replay(plans: Plans, found: Transition, now: int) -> Transition:
    """Take what waited in the row as far as it is not too early any more."""
    row = found.row
    assert isinstance(row, RunRow)  # noqa: S101 - this agent's rows are
    for raw in row.ahead:
        record = decode_record(raw)
        if _is_ahead(row, record):  # type: ignore[arg-type]
            continue
        rest = replace(row, ahead=tuple(other for other in row.ahead if other != raw))
        after = _decide(plans, rest, record, now, 0)  # type: ignore[arg-type]
        return _replay(plans, then(replace(found, row=rest), after), now)
    return found


def _on_started(plans: Plans, row: RunRow, record: Started, offset: int) -> Transition:
    if row.source is not None:
        return _on_second_start(plans, row, record)
    row = replace(
        row,
        source=record.source,
        input_hash=record.input_hash,
        plan_hash=record.plan_hash,
        workflow_version=record.workflow_version,
        started_at=record.started_at,
        traceparent=record.traceparent,
        seen=offset,
        reused=record.reused,
    )
    timers = deadline_timer(plans.of(row), row, record.started_at)
    return then(Transition(timers=timers), _finish_if_done(plans, row, 0))


def _on_second_start(plans: Plans, row: RunRow, record: Started) -> Transition:
    if record.input_hash == row.input_hash:
        # The same record again, or the same input again: one run. A crash may have kept its row and lost its timer.
        unsure = record.source == row.source and row.status == "running" and row.epoch == 0
        timers = deadline_timer(plans.of(row), row, row.started_at or 0) if unsure else ()
        return Transition(timers=timers) if timers else NOTHING
    first = row.source
    where = f"{first.topic}/{first.partition}/{first.offset}" if first else "an earlier record"
    plan = plans.current
    message = f"run id {row.run_id!r} was started with another input by {where}"
    return Transition(sends=(conflicting_start(plan.topic("dead-letter"), plan.id, record, message),))


def _on_attempt_failed(row: RunRow, record: AttemptFailed) -> Transition:
    known = row.nodes.get(record.node, _PENDING)
    if record.epoch != known.epoch or known.status in TERMINAL_STATUSES or record.seq <= known.last_seq:
        return NOTHING
    outcome = replace(
        known,
        attempts=record.attempt,
        last_seq=record.seq,
        error=record.error,
        spent=known.spent + record.spent,
        model=record.model or known.model,
        started_at=record.started_at if known.started_at is None else known.started_at,
    )
    return Transition(row=replace(row, nodes={**row.nodes, record.node: outcome}))


def _on_linked(row: RunRow, record: ReviewRequested | Decided) -> Transition:
    """Follow the chain of a node's reviews: what does not link to its last record (a copy, after a crash) is no part of it."""
    known = row.nodes.get(record.node, _PENDING)
    if record.epoch != known.epoch or known.status in TERMINAL_STATUSES or record.previous != (known.chain or ""):
        return NOTHING
    return Transition(row=replace(row, nodes={**row.nodes, record.node: replace(known, chain=record_hash(record))}))


def _on_terminal(plans: Plans, row: RunRow, record: Terminal, now: int) -> Transition:
    known = row.nodes.get(record.node, _PENDING)
    if record.epoch != known.epoch or known.status in TERMINAL_STATUSES:
        return NOTHING
    outcome = _fitting(row, _outcome_of(plans.current, known, record), limits_of(plans.of(row)).row)
    return _finish_if_done(plans, replace(row, nodes={**row.nodes, record.node: outcome}), now)


def _outcome_of(plan: WorkflowPlan, known: NodeOutcome, record: Terminal) -> NodeOutcome:
    head = None if known.chain is None else head_of(known.chain, record)
    if isinstance(record, Succeeded):
        return replace(
            known,
            status="success",
            finished_at=record.finished_at,
            chain=head,
            attempts=record.attempt,
            last_seq=record.seq,
            error=None,
            spent=known.spent + record.spent,
            model=record.model,
            started_at=record.started_at if known.started_at is None else known.started_at,
            output=record.output if record.node in plan.sinks else None,
            reused=record.reused,
        )
    ended = replace(known, status=STATUS_OF[type(record)], finished_at=record.finished_at, chain=head)
    match record:
        case Failed():
            return replace(
                ended, attempts=record.attempt, error=record.error, spent=known.spent + (record.spent or Spent())
            )
        case Cancelled() if record.reason is not None:
            message = f"cancelled: the run's {record.reason} was reached"
            return replace(ended, error=ErrorInfo(record.reason, message, retryable=False))
        case _:
            return ended


def _fitting(row: RunRow, outcome: NodeOutcome, most: int) -> NodeOutcome:
    """Leave an output out of the result that would make it too large to be written; it stays in the node's journal."""
    if outcome.output is None:
        return outcome
    size = sum(size_of(known.output) for known in row.nodes.values()) + size_of(outcome.output)
    if size <= most:
        return outcome
    message = f"the result's outputs have more than {most} bytes together: this one is in the journal only"
    return replace(outcome, output=None, error=ErrorInfo("too_large", message, retryable=False))


def _finish_if_done(plans: Plans, row: RunRow, now: int) -> Transition:
    plan = plans.current
    if row.source is None or row.status != "running" or not _has_ended(plan, row):
        return Transition(row=row)
    done = [row.nodes[node.id] for node in plan.foreground]
    finished_at = max((o.finished_at for o in done if o.finished_at is not None), default=row.started_at or 0)
    row = replace(row, status=status_of(done), finished_at=finished_at)
    finished = Finished(row.run_id, row.epoch, row.status, finished_at)
    wrote = Transition(
        row=row,
        sends=(result_record(plan, row), send(plan.topic("run"), finished, "run", row.epoch, 0, row.traceparent)),
        stop_timers=(deadline_key(row),) if plans.of(row).deadline_ms is not None else (),
    )
    return then(wrote, open_next(plan, row, now)) if row.redrives else wrote


def _has_ended(plan: WorkflowPlan, row: RunRow) -> bool:
    """Say whether every node has ended that the result waits for."""
    for node in reversed(plan.nodes):  # most often the last one has not
        if not node.background and row.nodes.get(node.id, _PENDING).status not in TERMINAL_STATUSES:
            return False
    return True


def _cancel(plan: WorkflowPlan, row: RunRow, now: int, reason: str | None) -> tuple[Send, ...]:
    """Return `Cancelled` for every node that has not ended, each in the epoch it runs in."""
    found = []
    for node in plan.nodes:
        known = row.nodes.get(node.id, _PENDING)
        if known.status not in TERMINAL_STATUSES:
            record = Cancelled(row.run_id, node.id, known.epoch, 0, now, reason)
            found.append(send(node.topic, record, node.id, known.epoch, 0, row.traceparent))
    return tuple(found)


def status_of(outcomes: list[NodeOutcome]) -> RunStatus:
    """Return how a run ended, a function of its nodes' ends alone, so that every reader comes to the same."""
    ends = {outcome.status for outcome in outcomes}
    if "cancelled" in ends:
        return "cancelled"
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not all(stops(outcome.error) for outcome in failed):
        return "failed"
    return "stopped" if failed else "success"
