"""The hash chain of a node's reviews: what was asked, what was decided, how it ended, each bound to what stood before it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from schemas.ids import content_hash
from schemas.records import Decided, Json, ReviewRequested, ReviewSubmitted, Terminal

Linked = ReviewRequested | Decided


def shown_hash(run_id: str, node: str, epoch: int, shown: Any) -> str:
    """Return the SHA-256 that a decision names: of what the reviewer saw, where and when it was shown."""
    return content_hash([run_id, node, epoch, shown])


def record_hash(record: Linked | ReviewSubmitted | Terminal) -> str:
    """Return the SHA-256 of a record, whatever bytes it was written in."""
    return content_hash([type(record).__name__, asdict(record)])


def head_of(chain: str, end: Terminal) -> str:
    """Return the chain's head: with it in the run's result a cut tail shows."""
    return content_hash([chain, record_hash(end)])


def text_hash(text: Json | str) -> str:
    """Return the SHA-256 of a text's UTF-8, as anybody else computes it."""
    return hashlib.sha256(text.encode()).hexdigest()
