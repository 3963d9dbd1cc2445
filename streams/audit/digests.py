"""Short stand-ins for long texts: the auditor compares, it does not keep."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

from schemas.codec import loads
from schemas.ids import content_hash
from schemas.records import Json

TOO_DEEP = "nested too deeply to compare"


def digest(content: str | bytes) -> Json:
    """Return a digest of exactly this text; equal ones are one object. (A `Json`, so that it can stand in a row's place.)"""
    raw = content.encode() if isinstance(content, str) else content
    return Json(sys.intern(hashlib.blake2b(raw, digest_size=16).hexdigest()))


def meaning(content: str | bytes) -> str | None:
    """Return a digest of the JSON value, however it is written; None if it is not JSON."""
    try:
        return meaning_of(loads(content))
    except ValueError:
        return None


def meaning_of(value: Any) -> str:
    """Return a digest of a JSON value; one that is nested too deeply to be written is not told from another such."""
    try:
        return sys.intern(content_hash(value))
    except TypeError:
        return TOO_DEEP
