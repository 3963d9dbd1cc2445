"""What the audit keeps of a record of a public topic: inputs, commands, results, dead letters."""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from typing import Any

from schemas import headers as names
from schemas.claims import input_text
from schemas.codec import dumps, loads
from schemas.headers import header
from schemas.ids import canonical_json, run_id_from_bytes
from schemas.records import Position
from schemas.registered import id_of, json_of
from streams.audit.digests import digest, meaning_of
from streams.audit.runs import Result
from streams.audit.snapshot import Entry

Cause = tuple[str, int, int]
"""Topic, partition and offset of the record that a dead letter is of."""


@dataclass(frozen=True, slots=True)
class Input:
    """A record of the input or control topic. `run_ids`: what its run may be called; None: that follows from its position.

    `read` is the digest of the JSON that is read from it: of its own value, unless that is Avro.
    """

    at: Position
    key: bytes | None
    digest: str
    read: str
    run_ids: frozenset[str]
    from_position: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter: of a node if `node` is set, else of the record at `cause`. `shown` has digests of what the node saw."""

    at: Position
    ce_id: str | None
    ce_type: str | None
    key: bytes | None
    digest: str
    kind: str | None
    message: str
    node: str | None
    attempt: str | None
    cause: Cause | None
    shown: dict[str, str | None] | None


def input_of(entry: Entry) -> Input:
    """Return what is kept of an input. A header of `penstock publish` names the run; else key, `ce_id` or position do."""
    named, ce_id = header(entry.headers, names.RUN_ID), header(entry.headers, names.CE_ID)
    candidates = (
        [named.encode()] if named is not None else [text for text in (entry.key, (ce_id or "").encode()) if text]
    )
    ids = frozenset(map(run_id_from_bytes, candidates))
    prefix = "" if named is not None else f"o-{entry.partition}-{entry.offset}-"
    return Input(entry.position, entry.key, digest(entry.value or b""), _as_input(entry), ids, prefix)


def _as_input(entry: Entry) -> str:
    """Return the digest of an input as a run's journal has it: Avro is JSON there, and a claim is written in one way."""
    value = entry.value or b""
    try:
        text = value if id_of(value) is None else dumps(json_of(value)).encode()
        return digest(input_text(text, header(entry.headers, names.CLAIM) is not None))
    except (ValueError, TypeError):
        return digest(value)


def result_of(entry: Entry) -> tuple[str | None, Result] | None:
    """Return a result's run id and what is kept of it, None if it is no JSON object."""
    body = _object(entry.value)
    if body is None:
        return None
    outputs, run_id = body.pop("outputs", None), body.get("run_id")
    found = {sys.intern(n): meaning_of(value) for n, value in outputs.items()} if isinstance(outputs, dict) else {}
    ce_id = header(entry.headers, names.CE_ID)
    try:
        rest = zlib.compress(canonical_json(body), 1)
    except TypeError:  # nested more deeply than anything of ours
        return None
    result = Result(entry.position, ce_id, digest(entry.value or b""), body.get("epoch"), found, rest)
    return run_id if isinstance(run_id, str) else None, result


def request_of(entry: Entry) -> str | None:
    """Return the run id of a request for an external app, None if it is no request."""
    body = _object(entry.value)
    run_id = None if body is None else body.get("run_id")
    return run_id if isinstance(run_id, str) else None


def dead_letter_of(entry: Entry) -> DeadLetter:
    """Return what is kept of a dead letter."""
    said = {name: header(entry.headers, names.ERROR + name) for name in ("kind", "message", "node", "attempt")}
    shown = _object(entry.value) if said["node"] is not None else None
    return DeadLetter(
        entry.position,
        header(entry.headers, names.CE_ID),
        header(entry.headers, names.CE_TYPE),
        entry.key,
        _as_input(entry) if said["node"] is None else digest(entry.value or b""),
        said["kind"],
        said["message"] or "",
        said["node"],
        said["attempt"],
        _cause(entry),
        None if shown is None else {k: None if v is None else meaning_of(v) for k, v in shown.items()},
    )


def _cause(entry: Entry) -> Cause | None:
    topic, partition, offset = (header(entry.headers, names.ERROR + name) for name in ("topic", "partition", "offset"))
    if topic is None or partition is None or offset is None:
        return None
    return (topic, int(partition), int(offset)) if partition.isdecimal() and offset.isdecimal() else None


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = loads(value or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
