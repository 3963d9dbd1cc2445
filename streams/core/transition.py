"""What a decision asks the engine to do: data that `engine.apply` carries out in one fixed order."""

from __future__ import annotations

from dataclasses import dataclass

from schemas import headers as names
from schemas.headers import Headers
from schemas.ids import ce_id
from schemas.quick import quick
from schemas.records import NodeRow, Record, RunRow, TimerRow
from streams.core.ledger import Ledger


@quick
@dataclass(frozen=True, slots=True)
class Moment:
    """Clock, chance and identity, as arguments: `now` in epoch ms, `jitter` in [0, 1), `incarnation` of this process.

    `offset` is that of the record that is decided on.
    """

    now: int
    jitter: float
    incarnation: str
    offset: int = 0


@quick
@dataclass(frozen=True, slots=True)
class Send:
    """One record to produce: a `Record` of ours (encoded by the engine) or bytes as they are."""

    topic: str
    key: bytes | None
    value: Record | bytes | None
    headers: Headers


@quick
@dataclass(frozen=True, slots=True)
class Transition:
    """What follows from one record.

    `row` None means unchanged, `ledger` None likewise; `launch` starts the row's attempt once row and ledger are durable.
    `timers` are set, those with the keys `stop_timers` taken away.
    """

    row: NodeRow | RunRow | TimerRow | None = None
    delete: bool = False
    sends: tuple[Send, ...] = ()
    launch: bool = False
    abort: bool = False
    ledger: Ledger | None = None
    timers: tuple[TimerRow, ...] = ()
    stop_timers: tuple[str, ...] = ()


NOTHING = Transition()


def then(first: Transition, second: Transition) -> Transition:
    """Return both as one: what the second says of the row holds, an attempt it aborts was never launched."""
    return Transition(
        row=first.row if second.row is None else second.row,
        delete=first.delete or second.delete,
        sends=first.sends + second.sends,
        launch=second.launch or (first.launch and not second.abort),
        abort=first.abort or second.abort,
        ledger=first.ledger if second.ledger is None else second.ledger,
        timers=first.timers + second.timers,
        stop_timers=first.stop_timers + second.stop_timers,
    )


def traced(send: Send, traceparent: str) -> Send:
    """Return a record with another `traceparent` in the place of its own."""
    value = traceparent.encode()
    headers = tuple((name, value if name == names.TRACEPARENT else old) for name, old in send.headers)
    return Send(send.topic, send.key, send.value, headers)


def send(topic: str, record: Record, node: str, epoch: int, seq: int, traceparent: str | None) -> Send:
    """Return `record` ready for `topic`, keyed by its run, with its deterministic id."""
    run_id: str = record.run_id  # type: ignore[union-attr]
    kind = type(record).__name__
    headers: Headers = (
        (names.CE_ID, ce_id(run_id, node, epoch, seq, kind).encode()),
        (names.CE_TYPE, kind.encode()),
    )
    if traceparent is not None:
        headers += ((names.TRACEPARENT, traceparent.encode()),)
    return Send(topic, run_id.encode(), record, headers)
