"""Work that is done once per key: who may do it, who waits, and what came of it (PROTOCOL.md 10, docs/adr).

The key's topic is the key's journal. Whoever asks first holds the lease and does the work as its node does any other; what comes back goes
to all that wait. Every answer may be given twice, after a crash: the first terminal record of a node counts, so a second one changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.codec import dumps, loads
from schemas.quick import replace
from schemas.records import (
    ErrorInfo,
    Failed,
    Holder,
    Json,
    LeaseGranted,
    LeaseRecord,
    LeaseRequested,
    LeaseReturned,
    LeaseRow,
    Row,
    Spent,
    Succeeded,
    TimerRow,
    WaiterRow,
)
from streams.core.transition import Send, send
from topology.plan import NodePlan

LEASE = "lease"

RowOf = Callable[[str], Row | None]
"""The rows of the key's table in its partition."""


@dataclass(frozen=True, slots=True)
class LeaseTransition:
    """What follows from a record: rows in the order in which they are written (waiters before the row that counts them), and records."""

    rows: Mapping[str, Row | None] = field(default_factory=dict)
    sends: tuple[Send, ...] = ()
    timers: tuple[TimerRow, ...] = ()


NOTHING = LeaseTransition()


def decide(node: NodePlan, row_of: RowOf, record: LeaseRecord, now: int) -> LeaseTransition:
    """Return what follows from a record of the key's topic."""
    found = row_of(record.key)
    row = found if isinstance(found, LeaseRow) else LeaseRow(record.key)
    if isinstance(record, LeaseRequested):
        asker = Holder(record.run_id, record.node, record.epoch, record.traceparent)
        return _on_requested(node, row, asker, now)
    return _on_returned(node, row_of, row, record, now)


def expire(row: Row | None, now: int) -> bool:
    """Say whether what is known of a key does not hold any more, so that its row may go."""
    return isinstance(row, LeaseRow) and row.holder is None and row.expires_at is not None and row.expires_at <= now


def waiter_key(key: str, number: int) -> str:
    """Return the key of a waiter's row; no key of work holds a NUL, so none is called so."""
    return f"\0{number}/{key}"


def _on_requested(node: NodePlan, row: LeaseRow, asker: Holder, now: int) -> LeaseTransition:
    if row.output is not None and (row.expires_at is None or row.expires_at > now):
        return LeaseTransition(sends=(_answer(node, asker, row.output, now),))
    if row.holder is None:
        held = LeaseRow(row.key, asker, first=row.first, next=row.next)
        return LeaseTransition({row.key: held}, (_grant(node, row.key, asker, now),))
    if row.holder == asker:
        return LeaseTransition(sends=(_grant(node, row.key, asker, now),))  # asked again after a crash
    waiter = WaiterRow(row.key, row.next, asker)
    return LeaseTransition({waiter_key(row.key, row.next): waiter, row.key: replace(row, next=row.next + 1)})


def _on_returned(node: NodePlan, row_of: RowOf, row: LeaseRow, record: LeaseReturned, now: int) -> LeaseTransition:
    holder = row.holder
    if holder is None or (holder.run_id, holder.node, holder.epoch) != (record.run_id, record.node, record.epoch):
        return NOTHING  # a repeat, or of somebody that was never granted it
    if record.output is None and record.error is None:
        return _next(node, row_of, row, now)
    waiters = [w for n in range(row.first, row.next) if isinstance(w := row_of(waiter_key(row.key, n)), WaiterRow)]
    gone: dict[str, Row | None] = {waiter_key(row.key, waiter.number): None for waiter in waiters}
    if record.output is None:
        error = record.error or ErrorInfo("internal", "returned without a reason", retryable=False)
        failed = tuple(_fail(node, waiter.waiter, error, now) for waiter in waiters)
        return LeaseTransition({row.key: None, **gone}, failed)
    expires_at = None if node.lease is None or node.lease.ttl_ms is None else record.returned_at + node.lease.ttl_ms
    made = LeaseRow(row.key, None, record.output, record.returned_at, expires_at, row.next, row.next)
    answers = tuple(_answer(node, waiter.waiter, record.output, now) for waiter in waiters)
    timers = () if expires_at is None else (TimerRow(row.key, node.id, 0, 0, LEASE, expires_at, ""),)
    return LeaseTransition({row.key: made, **gone}, answers, timers)


def _next(node: NodePlan, row_of: RowOf, row: LeaseRow, now: int) -> LeaseTransition:
    """Grant it to the next one that waits."""
    for number in range(row.first, row.next):
        found = row_of(waiter_key(row.key, number))
        if isinstance(found, WaiterRow):
            held = replace(row, holder=found.waiter, first=number + 1)
            grant = _grant(node, row.key, found.waiter, now)
            return LeaseTransition({row.key: held, waiter_key(row.key, number): None}, (grant,))
    return LeaseTransition({row.key: None})


def _grant(node: NodePlan, key: str, to: Holder, now: int) -> Send:
    granted = LeaseGranted(to.run_id, to.node, to.epoch, key, now)
    return send(node.topic, granted, to.node, to.epoch, 0, to.traceparent)


def _answer(node: NodePlan, to: Holder, output: Json, now: int) -> Send:
    """Return the end of a node that needed no work of its own."""
    if node.kind == "router":
        output = dumps({**loads(output), "by": "cache"})
    ended = Succeeded(to.run_id, to.node, to.epoch, 0, 0, output, Spent(), None, now, now)
    return send(node.topic, ended, to.node, to.epoch, 0, to.traceparent)


def _fail(node: NodePlan, to: Holder, error: ErrorInfo, now: int) -> Send:
    ended = Failed(to.run_id, to.node, to.epoch, 0, 0, error, now)
    return send(node.topic, ended, to.node, to.epoch, 0, to.traceparent)
