"""Further epochs of a run: a failed node runs again, and what was skipped below it; or, by a replay, whatever ran (PROTOCOL.md 3).

A redrive waits for the running epoch's end, so that what it leads to does not depend on what was read first. It names the
epoch in which the node failed: compare and set, so of two for the same failure the second is refused. An opening takes effect when it is
read back from `{wf}.run`, for the node agents and for this one alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from schemas.codec import decode
from schemas.quick import quick, replace
from schemas.records import EpochOpened, NodeOutcome, QueuedRedrive, RedriveRequested, Refused, RunRow
from streams.core.submissions import EXPIRED, submitted
from streams.core.timer_agent import deadline_timer
from streams.core.transition import NOTHING, Send, Transition, send, then
from topology.plan import WorkflowPlan


@quick
@dataclass(frozen=True, slots=True)
class Plans:
    """The version that new epochs begin with, and those that runs in flight began with, by hash."""

    current: WorkflowPlan
    known: Mapping[str, WorkflowPlan] = field(default_factory=dict)

    def of(self, row: RunRow) -> WorkflowPlan:
        """Return the run's own version."""
        return self.known.get(row.plan_hash or "", self.current)


_UNKNOWN = NodeOutcome()


def on_redrive(plans: Plans, row: RunRow, record: RedriveRequested, now: int, offset: int) -> Transition:
    """Queue a redrive, and open its epoch if no other one runs."""
    if row.seen is not None and offset <= row.seen:
        return NOTHING  # read again after a crash, with a row that knows what came later: it was answered
    if row.source is None:
        return Transition(sends=(_refuse(plans.current, row, record, "there is no such run", now),))
    if row.retired:
        return Transition(sends=(_refuse(plans.current, row, record, EXPIRED, now),))
    if record.source == row.opened_by or any(record.source == known.request.source for known in row.redrives):
        return NOTHING  # a repeat of the same command
    meant = record.epoch if record.epoch is not None else _last_opened(row)
    opens = offset + row.epochs_from
    row = replace(row, redrives=(*row.redrives, QueuedRedrive(record, meant, opens)), seen=offset)
    return open_next(plans.current, row, now)


def open_next(plan: WorkflowPlan, row: RunRow, now: int) -> Transition:
    """Open the epoch of the first redrive that holds, if none runs; refuse those before it. It begins with `plan`, the current version."""
    found = Transition(row=row)
    while row.redrives and row.status != "running" and row.opening is None:
        first, row = row.redrives[0], replace(row, redrives=row.redrives[1:])
        why = _why_not(row, first)
        if why is not None:
            found = then(found, Transition(row=row, sends=(_refuse(plan, row, first.request, why, now),)))
            continue
        row = replace(row, opening=first.opens)
        found = then(found, Transition(row=row, sends=(_opening(plan, row, first, now),)))
    return found


def on_opened(plans: Plans, row: RunRow, record: EpochOpened) -> Transition:
    """Begin the epoch."""
    if record.epoch <= row.epoch:
        unsure = (
            record.epoch == row.epoch and row.status == "running"
        )  # a crash may have kept the row and lost the timer
        timers = deadline_timer(plans.of(row), row, record.opened_at) if unsure else ()
        return Transition(timers=timers) if timers else NOTHING
    nodes = {
        node: NodeOutcome(epoch=record.epoch, spent=known.spent) if node in record.reopen else known
        for node, known in row.nodes.items()
    }
    row = replace(
        row,
        status="running",
        epoch=record.epoch,
        nodes=nodes,
        plan_hash=record.plan_hash,
        workflow_version=record.workflow_version,
        finished_at=None,
        opening=None,
        epoch_started_at=record.opened_at,
        opened_by=record.source,
    )
    return Transition(row=row, timers=deadline_timer(plans.of(row), row, record.opened_at))


def below(plan: WorkflowPlan, node: str) -> Iterator[str]:
    """Yield the nodes that depend on `node` or read it, directly or not, in topological order."""
    found = {node}
    for other in plan.nodes:
        if found.intersection(other.sources):
            found.add(other.id)
            yield other.id


def _last_opened(row: RunRow) -> int:
    """Return the last epoch whose opening was read, if only to wait: what a redrive without an epoch means."""
    held = [record.epoch for raw in row.ahead if isinstance(record := decode(raw), EpochOpened)]
    return max([row.epoch, *held])


def _why_not(row: RunRow, queued: QueuedRedrive) -> str | None:
    node = queued.request.node
    known = row.nodes.get(node, _UNKNOWN)
    if queued.request.replay is not None:
        if row.epoch == queued.meant:
            return None
        return f"the run has gone on: epoch {queued.meant} was meant, it is in epoch {row.epoch}"
    if known.epoch > queued.meant:
        return f"node {node!r} was redriven already: it failed in epoch {queued.meant}, and ran again in epoch {known.epoch}"
    if known.status == "failed":
        return None
    return f"node {node!r} is {known.status}: only one that failed can be run again"


def _opening(plan: WorkflowPlan, row: RunRow, queued: QueuedRedrive, now: int) -> Send:
    request = queued.request
    record = EpochOpened(
        run_id=row.run_id,
        epoch=queued.opens,
        previous=row.epoch,
        node=request.node,
        reopen=_reopened(plan, row, request),
        edit=request.edit,
        plan_hash=plan.plan_hash,
        workflow_version=plan.version,
        requested_by=request.requested_by,
        requested_at=request.requested_at,
        opened_at=now,
        source=request.source,
        replay=request.replay,
        reuse=request.reuse,
    )
    return send(plan.topic("run"), record, "run", record.epoch, 0, row.traceparent)


def _reopened(plan: WorkflowPlan, row: RunRow, request: RedriveRequested) -> tuple[str, ...]:
    if request.whole:
        return tuple(node.id for node in plan.nodes)
    if request.replay is not None:
        return (request.node, *below(plan, request.node))
    never_ran = ("skipped", "cancelled")
    return (
        request.node,
        *(n for n in below(plan, request.node) if row.nodes.get(n, _UNKNOWN).status in never_ran),
    )


def _refuse(plan: WorkflowPlan, row: RunRow, request: RedriveRequested, why: str, now: int) -> Send:
    topic = plan.node(request.node).topic if request.replay is None else plan.topic("run")
    record = Refused(
        request.run_id,
        request.node,
        request.epoch or 0,
        "redrive" if request.replay is None else "replay",
        why,
        request.requested_by,
        now,
        request.source,
        request.replay,
    )
    return submitted(plan.id, topic, record, row.traceparent)
