"""What a node's agent decides on one record: the node's state machine (docs/state-machine.md), pure.

Here is which records count for the node's epoch, and which must wait for one to be opened; `node_ready` lets a node run or
not, `node_attempts` makes its attempts, `node_end` ends it.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.codec import dumps, loads
from schemas.quick import replace
from schemas.records import (
    STATUS_OF,
    TERMINAL,
    TERMINAL_STATUSES,
    AttemptDeferred,
    AttemptDue,
    AttemptFailed,
    CallLost,
    EpochOpened,
    ErrorInfo,
    Failed,
    Gathered,
    Json,
    LeaseGranted,
    NodeRecord,
    NodeRow,
    Provenance,
    ResultReceived,
    ReviewRequested,
    ReviewSubmitted,
    RunRecord,
    Skipped,
    Started,
    Succeeded,
    Terminal,
    TimedOut,
)
from streams.core import external, lease, node_attempts, review
from streams.core.ahead import held, is_partial, taken
from streams.core.compiled import CompiledNode
from streams.core.ledger import Ledger, settled
from streams.core.limits import size_of
from streams.core.node_context import Context, stops
from streams.core.node_end import lost, on_terminal
from streams.core.node_ready import resolve
from streams.core.reuse import recorded_in
from streams.core.transition import NOTHING, Moment, Send, Transition, then
from topology.plan import INPUT

ANSWERS = (ResultReceived, ReviewSubmitted)
"""What others say of an epoch they name: it is taken or refused at once, never kept for later."""
ASIDE = (*ANSWERS, ReviewRequested, TimedOut, LeaseGranted)
"""What stands in a node's own journal beside its attempts and its end."""
ACTED_ON = (*TERMINAL, AttemptFailed, AttemptDeferred, AttemptDue, CallLost, *ASIDE)
NEVER_AHEAD = (CallLost, *ANSWERS)
SETTLING = (Succeeded, AttemptFailed, AttemptDeferred, CallLost)


def decide(
    node: CompiledNode,
    row: NodeRow | None,
    record: RunRecord | NodeRecord,
    moment: Moment,
    ledger: Ledger | None = None,
) -> Transition:
    """Return what follows for `node` from a record of the run's journal, of a source's, or of its own.

    `ledger` is the run's, for nodes that spend in a workflow with a budget.
    """
    row = row or NodeRow(record.run_id)
    context = Context(node.at(row.plan_hash), moment, ledger)
    found = _decide(context, row, record)
    return found if found.row is None else _replay(context, found)


def relaunch(node: CompiledNode, row: NodeRow, moment: Moment, ledger: Ledger | None = None) -> Transition:
    """Return what follows for a row that says `running` while nobody alive works on it."""
    return node_attempts.relaunch(Context(node, moment, ledger), row)


def decide_ready(node: CompiledNode, row: NodeRow, moment: Moment, ledger: Ledger | None = None) -> Transition:
    """Return what follows for a node that every source has ended for, as their rows tell."""
    return resolve(Context(node, moment, ledger), row)


def decide_own(context: Context, row: NodeRow, record: NodeRecord) -> Transition:
    """Return what follows for a row from a record of its own in its epoch; an item has no other."""
    return _settle_then_decide(context, row, record)


def _decide(context: Context, row: NodeRow, record: RunRecord | NodeRecord) -> Transition:
    if isinstance(record, Started):
        return _on_started(context, row, record)
    if isinstance(record, EpochOpened):
        return _hold(context, row, record) if _is_ahead(context, row, record) else _on_opened(context, row, record)
    if not isinstance(record, ACTED_ON):
        return NOTHING  # commands are the run agent's; what was refused or switched is there to be read
    own = record.node == context.node.plan.id
    if not own and not isinstance(record, TERMINAL):
        return NOTHING
    if _is_ahead(context, row, record):
        return _hold(context, row, record)
    if own:
        return _settle_then_decide(context, row, record)
    return _on_source(context, row, record) if isinstance(record, TERMINAL) else NOTHING


# ---- epochs ---------------------------------------------------------------------------------------------------------


def _is_ahead(context: Context, row: NodeRow, record: EpochOpened | NodeRecord) -> bool:
    """Say whether a record belongs to an epoch whose opening was not read yet, or whose time has not come.

    An epoch opens after the last one's result: so this node has ended, though its end may be read only after the opening. A row
    that was read in part waits for the rest.
    """
    if isinstance(record, EpochOpened):
        unready = row.status not in TERMINAL_STATUSES or row.closing or is_partial(row, but_for=record.reopen)
        return record.epoch > row.opened and unready
    if isinstance(record, NEVER_AHEAD):
        return False  # the one is settled, and nothing else
    if record.node != context.node.plan.id:
        return record.epoch > row.epochs.get(record.node, 0)
    return record.epoch > row.epoch or is_partial(row)


def _hold(context: Context, row: NodeRow, record: EpochOpened | NodeRecord) -> Transition:
    """Keep a record that came too early in the row."""
    raw = held(record, context.moment.offset)
    return NOTHING if raw in row.ahead else Transition(row=replace(row, ahead=(*row.ahead, raw)))


def _replay(context: Context, found: Transition) -> Transition:
    """Take what waited in the row as far as it is not too early any more."""
    row = found.row
    assert isinstance(row, NodeRow)  # noqa: S101 - this agent's rows are
    for raw in row.ahead:
        record, offset = taken(raw)
        if _is_ahead(context, row, record):  # type: ignore[arg-type]
            continue
        rest = replace(row, ahead=tuple(other for other in row.ahead if other != raw))
        moment = replace(context.moment, offset=offset)
        node = context.node.at(rest.plan_hash)
        context = replace(context, node=node, ledger=found.ledger or context.ledger, moment=moment)
        after = _decide(context, rest, record)  # type: ignore[arg-type]
        return _replay(context, then(replace(found, row=rest), after))
    return found


def _on_opened(context: Context, row: NodeRow, record: EpochOpened) -> Transition:
    """Begin anew if the node is reopened; forget what reopened sources said in any case."""
    if record.epoch <= row.opened:
        return NOTHING
    plan = context.node.plan
    again = {source for source in plan.sources if source in record.reopen}
    row = replace(
        row,
        opened=record.epoch,
        gathered={name: got for name, got in row.gathered.items() if name not in again},
        epochs={**row.epochs, **dict.fromkeys(again, record.epoch)},
    )
    if plan.id not in record.reopen:
        return Transition(row=row)
    context = replace(context, node=context.node.at(record.plan_hash))
    return resolve(context, _reopened(context, row, record))


def _reopened(context: Context, row: NodeRow, record: EpochOpened) -> NodeRow:
    """Return the row as at the beginning of a run, but for what it still knows of its sources."""
    limit = context.node.deadline_ms
    too_large = row.last_error if row.attempt == 0 and row.last_error and row.last_error.kind == "too_large" else None
    return NodeRow(
        row.run_id,
        epoch=record.epoch,
        started=row.started,
        gathered=row.gathered,
        traceparent=row.traceparent,
        epochs=row.epochs,
        opened=row.opened,
        ahead=row.ahead,
        edits=(*row.edits, *_edits_for(context.node.plan.id, record)),
        deadline_at=None if limit is None else record.opened_at + limit,
        last_error=too_large,
        answered_by=row.review.decided_by if row.review else None,
        recorded=recorded_in(row, context.node.limits.output),
        reuse=record.reuse,
        plan_hash=record.plan_hash,
    )


def _edits_for(node: str, record: EpochOpened) -> tuple[Json, ...]:
    """Return the part of an edit that holds for a node: the whole for the one that is redriven, the input for those below."""
    if record.edit is None or node == record.node:
        return () if record.edit is None else (record.edit,)
    edit = loads(record.edit)
    return (dumps({INPUT: edit[INPUT]}),) if INPUT in edit else ()


# ---- what a node gathers --------------------------------------------------------------------------------------------


def _on_started(context: Context, row: NodeRow, record: Started) -> Transition:
    if row.started:  # the first Started of a run counts; the run agent answers for another one
        return _completed(row, INPUT, record.input)
    context = replace(context, node=context.node.at(record.plan_hash))
    limit = context.node.deadline_ms
    row = replace(
        row,
        started=True,
        plan_hash=record.plan_hash,
        traceparent=record.traceparent,
        deadline_at=None if limit is None else record.started_at + limit,
        kept=context.node.plan.id in record.reused,
    )
    if context.node.plan.reads_input:
        row = gathered_into(row, INPUT, Gathered("success", record.input), context.node.limits.row)
    return resolve(context, row)


def _on_source(context: Context, row: NodeRow, record: Terminal) -> Transition:
    if record.epoch != row.epochs.get(record.node, 0):
        return NOTHING
    if record.node in row.gathered:  # the first terminal record of the epoch counts
        return _completed(row, record.node, record.output) if isinstance(record, Succeeded) else NOTHING
    plan = context.node.plan
    output = record.output if isinstance(record, Succeeded) and record.node in plan.reads else None
    got = Gathered(STATUS_OF[type(record)], output, _stopped(record), _made_by(context, record))
    return resolve(context, gathered_into(row, record.node, got, context.node.limits.row))


def _completed(row: NodeRow, name: str, output: Json) -> Transition:
    """Fill in what was left out of a row that a crash kept, while it took the one that has it."""
    got = row.gathered.get(name)
    if got is None or not got.in_source:
        return NOTHING
    return Transition(row=replace(row, gathered={**row.gathered, name: replace(got, output=output, in_source=False)}))


def _made_by(context: Context, record: Terminal) -> Provenance | None:
    """Return where an output comes from, for nodes that show it to people."""
    if context.node.plan.kind != "review" or not isinstance(record, Succeeded):
        return None
    return review.provenance(record.model, record.prompt_hash, record.raw or record.output)


def _stopped(record: Terminal) -> bool:
    match record:
        case Failed():
            return stops(record.error)
        case Skipped():
            return record.stopped
        case _:
            return False


def gathered_into(row: NodeRow, name: str, got: Gathered, most: int) -> NodeRow:
    """Add one source; what would make the row too large to be written is left out, and the node fails for it once ready."""
    gathered = {**row.gathered, name: got}
    if not fits(gathered, most):
        message = f"the inputs have more than {most} bytes together, {name!r} is too much"
        row = replace(row, last_error=ErrorInfo("too_large", message, retryable=False))
        gathered[name] = replace(got, output=None)
    return replace(row, gathered=gathered)


def gathered_one_by_one(row: NodeRow, most: int) -> NodeRow:
    """Return a row as if its sources, more than fit, had come one after the other."""
    sources, row = row.gathered, replace(row, gathered={})
    for name, got in sources.items():
        row = gathered_into(row, name, got, most)
    return row


def fits(gathered: Mapping[str, Gathered], most: int) -> bool:
    """Say whether these sources are no more than a row may hold."""
    size = 0
    for known in gathered.values():
        size += size_of(known.output)
    return size <= most


# ---- its own journal ------------------------------------------------------------------------------------------------


def _settle_then_decide(context: Context, row: NodeRow, record: NodeRecord) -> Transition:
    if context.ledger is None or not isinstance(record, SETTLING):
        return _on_own(context, row, record)
    after = settled(context.ledger, record)
    found = _on_own(replace(context, ledger=after), row, record)
    if after is context.ledger:
        return then(Transition(sends=_unmetered(context, row, record)), found)
    return found if found.ledger is not None else replace(found, ledger=after)


def _unmetered(context: Context, row: NodeRow, record: NodeRecord) -> tuple[Send, ...]:
    """Return the charge for a call that ended without anybody's counting: it stays reserved until this is read back."""
    if not isinstance(record, Succeeded | AttemptFailed) or record.metered:
        return ()
    return lost(context, replace(row, epoch=record.epoch, seq=record.seq, launch=record.launch))


def _on_own(context: Context, row: NodeRow, record: NodeRecord) -> Transition:
    match record:  # refused after the node's end, too
        case ResultReceived():
            return external.on_result(context, row, record)
        case ReviewSubmitted():
            return review.on_submitted(context, row, record)
        case LeaseGranted():
            return lease.on_granted(context, row, record)
    if row.status in TERMINAL_STATUSES or record.epoch != row.epoch:
        return NOTHING
    match record:
        case AttemptFailed():
            return node_attempts.on_failed(context, row, record)
        case AttemptDeferred():
            return node_attempts.on_deferred(context, row, record)
        case AttemptDue():
            return node_attempts.on_due(context, row, record)
        case TimedOut(kind=review.REVIEW):
            return review.on_timed_out(context, row, record)
        case TimedOut():
            return external.on_timed_out(context, row, record)
        case ReviewRequested():
            return review.on_requested(context, row, record)
        case CallLost():
            return NOTHING
        case _:
            found = on_terminal(context, row, record)  # type: ignore[arg-type]
            return replace(found, sends=(*found.sends, *lease.returned(context, row, record)))  # type: ignore[arg-type]
