"""What the journals say of a run: the calls that were made, and everything else that happened."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.console.api import shapes
from schemas.codec import loads
from schemas.records import (
    AttemptDeferred,
    AttemptDue,
    AttemptFailed,
    CallLost,
    ErrorInfo,
    Finished,
    Record,
    Spent,
    Started,
    Succeeded,
)
from streams.core.dead_letter import iso
from streams.core.result import usage_of

_CALLS = (Succeeded, AttemptFailed, CallLost, AttemptDeferred)
_UNTOLD = {"run_id", "node", "epoch", "traceparent", "source_key", "input", "shown", "output"}
_JSON = {"edit", "item"}


def calls_of(node: str, records: Iterable[tuple[int, Record]]) -> list[shapes.Call]:
    """Return the attempts of a node and of its items, in the order in which they began."""
    found = [_call(record) for _, record in records if isinstance(record, _CALLS) and record.node.split("[")[0] == node]
    return sorted(
        found, key=lambda call: (call.started_at or call.finished_at or "", call.epoch, call.seq, call.launch)
    )


def _call(record: Succeeded | AttemptFailed | CallLost | AttemptDeferred) -> shapes.Call:
    spent, outcome, began, ended = _of(record)
    error: ErrorInfo | None = getattr(record, "error", None)
    shown = None if error is None else shapes.Error(kind=error.kind, message=error.message)
    if isinstance(record, AttemptDeferred):
        shown = shapes.Error(kind=record.reason, message=record.message)
    return shapes.Call(
        node=record.node,
        epoch=record.epoch,
        attempt=getattr(record, "attempt", 0),
        seq=record.seq,
        launch=record.launch,
        outcome=outcome,
        model=getattr(record, "model", None),
        started_at=None if began is None else iso(began),
        finished_at=iso(ended),
        duration_ms=None if began is None else max(0, ended - began),
        first_token_ms=getattr(record, "first_token_ms", None),
        usage=shapes.Usage(**usage_of(spent)),
        cost_usd=spent.cost_usd,
        error=shown,
        raw=getattr(record, "raw", None),
        prompt_hash=getattr(record, "prompt_hash", None),
        reused=getattr(record, "reused", False),
    )


def _of(record: Succeeded | AttemptFailed | CallLost | AttemptDeferred) -> tuple[Spent, str, int | None, int]:
    match record:
        case Succeeded():
            return record.spent, "success", record.started_at, record.finished_at
        case AttemptFailed():
            return record.spent, "failed", record.started_at, record.finished_at
        case CallLost():
            return record.charged, "lost", None, record.lost_at
        case AttemptDeferred():
            return Spent(), "deferred", None, record.deferred_at


def history_of(records: Iterable[tuple[int, Record]]) -> list[shapes.Event]:
    """Return everything but calls, in the order of time."""
    return [
        shapes.Event(
            at=iso(at),
            node=getattr(record, "node", None),
            epoch=getattr(record, "epoch", None) or 0,
            type=type(record).__name__,
            detail=_detail(record),
        )
        for at, record in records
        if not isinstance(record, (*_CALLS, AttemptDue)) and not _is_item(record)
    ]


def _is_item(record: Record) -> bool:
    return "[" in (getattr(record, "node", None) or "")


def _detail(record: Record) -> dict[str, Any]:
    """Return a record's own words: times as people read them, what is large or told elsewhere left out."""
    untold = _UNTOLD | {"source"} if isinstance(record, (Started, Finished)) else _UNTOLD
    return {
        field.name: _told(field.name, getattr(record, field.name))
        for field in dataclasses.fields(record)
        if field.name not in untold and getattr(record, field.name) is not None
    }


def _told(name: str, value: Any) -> Any:
    if name.endswith("_at") and isinstance(value, int):
        return iso(value)
    if name in _JSON and isinstance(value, str):
        return loads(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, ErrorInfo):
        return {"kind": value.kind, "message": value.message}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value
