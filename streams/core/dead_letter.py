"""Dead letters: what failed for good, with its cause in text headers that kcat can show."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import orjson

from schemas import headers as names
from schemas.claims import is_claim, public_value
from schemas.headers import Headers, headers_of, public_headers
from schemas.ids import ce_id
from schemas.records import Failed, NodeRow, Position, Started
from streams.core.compiled import CompiledNode, texts_of
from streams.core.inbound import Inbound
from streams.core.transition import Send

LAST_MS = 253_402_300_799_000
"""The last second of the year 9999."""

MAX_CAUSE = 4_000
"""Characters of one cause header; headers count towards the record's size."""


@lru_cache(4_096)
def iso(ms: int) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC; what no calendar has (a producer counting in ns) as the nearest it has."""
    return (
        datetime.fromtimestamp(max(0, min(ms, LAST_MS)) / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def poison(topic: str, workflow: str, record: Inbound, kind: str, message: str) -> Send:
    """Return the dead letter of a record that cannot be used: its key, value and headers as they were, and why."""
    position = record.position
    identity = f"{position.topic}/{position.partition}/{position.offset}/DeadLetter"
    subject = record.key.decode(errors="replace") if record.key else ""
    own = public_headers(identity, "DeadLetter", f"penstock/{workflow}", iso(record.timestamp), subject, None)
    taken = {name for name, _ in own} | {names.CE_ID}
    kept = tuple((name, value) for name, value in record.headers if name not in taken)
    return Send(topic, record.key, record.value, kept + own + _cause(kind, message, position=position))


def node_dead_letter(node: CompiledNode, row: NodeRow, record: Failed) -> Send:
    """Return the dead letter of a node that failed for good: its value is what the node saw, as JSON."""
    identity = ce_id(row.run_id, node.plan.id, row.epoch, record.seq, "DeadLetter")
    source = f"penstock/{node.workflow}/{node.plan.id}"
    own = public_headers(identity, "DeadLetter", source, iso(record.finished_at), row.run_id, row.traceparent)
    cause = _cause(
        record.error.kind,
        record.error.message,
        node=node.plan.id,
        attempt=record.attempt,
        traceback=record.error.traceback,
        raw=row.last_raw,
    )
    content = headers_of({names.CONTENT_TYPE: "application/json"})
    seen = texts_of(node.plan, row)
    value = orjson.dumps({name: None if text is None else orjson.Fragment(text) for name, text in seen.items()})
    return Send(node.dead_letter_topic, row.run_id.encode(), value, own + content + cause)


def conflicting_start(topic: str, workflow: str, record: Started, message: str) -> Send:
    """Return the dead letter of a second, different input of a run id."""
    at = record.source
    identity = f"{at.topic}/{at.partition}/{at.offset}/DeadLetter"
    own = public_headers(
        identity, "DeadLetter", f"penstock/{workflow}", iso(record.started_at), record.run_id, record.traceparent
    )
    claimed = headers_of({names.CLAIM: "1"}) if is_claim(record.input) else ()
    cause = _cause("run_id_conflict", message, position=at)
    return Send(topic, record.source_key, public_value(record.input), own + claimed + cause)


def _cause(
    kind: str,
    message: str,
    *,
    node: str | None = None,
    attempt: int | None = None,
    position: Position | None = None,
    traceback: str | None = None,
    raw: str | None = None,
) -> Headers:
    at = position
    values: dict[str, str | int | None] = {
        "kind": kind,
        "message": message[:MAX_CAUSE],
        "node": node,
        "attempt": attempt,
        "topic": at.topic if at else None,
        "partition": at.partition if at else None,
        "offset": at.offset if at else None,
        "traceback": traceback[:MAX_CAUSE] if traceback else None,
        "raw": raw,
    }
    return headers_of({names.ERROR + name: value for name, value in values.items()})
