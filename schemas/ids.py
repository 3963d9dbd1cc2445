"""Deterministic identities: the same cause gives the same id, so every reader can drop what it has seen."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

MAX_RUN_ID = 200
"""Characters; a run id is part of keys, headers and addresses."""


def is_run_id(text: str) -> bool:
    """Say whether `text` can be a run id as it stands: 1 to 200 printable characters, no `/` and no blanks at its ends."""
    return 0 < len(text) <= MAX_RUN_ID and text.isprintable() and "/" not in text and text == text.strip()


def run_id_from_bytes(key: bytes) -> str:
    """Return the run id that a producer's key (or `ce_id`) stands for.

    A key that is no printable text (an integer, an Avro key) or too long becomes a digest of it: any key names a run.
    """
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = ""
    if is_run_id(text):
        return text
    return "k-" + hashlib.sha256(key).hexdigest()[:32]


def run_id_from_position(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """Return the run id of a record that brought none.

    The timestamp is part of it because a topic may be deleted and made again: then offsets repeat, and runs must not.
    """
    digest = hashlib.sha256(f"{topic}/{partition}/{offset}/{timestamp_ms}".encode()).hexdigest()[:12]
    return f"o-{partition}-{offset}-{digest}"


def ce_id(run_id: str, node: str, epoch: int, seq: int, kind: str, index: int | None = None) -> str:
    """Return the CloudEvents id `run/node[index]/epoch/seq/type`; a relaunch after a crash has the same."""
    item = "" if index is None else f"[{index}]"
    return f"{run_id}/{node}{item}/{epoch}/{seq}/{kind}"


def canonical_json(value: Any) -> bytes:
    """Return `value` as JSON with sorted keys and no blanks, so that equal values have equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def content_hash(value: Any) -> str:
    """Return the SHA-256 of `value`'s canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def traceparent_of(workflow: str, run_id: str) -> str:
    """Return the W3C `traceparent` of a run whose producer sent none; derived, so that a repeated intake agrees with the first."""
    digest = hashlib.sha256(f"{workflow}\0{run_id}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"
