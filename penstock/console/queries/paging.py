"""Pages of a list: where one ends, as a text that nobody needs to understand."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Sequence
from typing import Any

from schemas.codec import dumps, loads

Key = tuple[Any, ...]


class BadCursor(ValueError):
    """A cursor that no list gave."""


def cursor_of(key: Sequence[Any]) -> str:
    """Return the cursor of the row with this key."""
    return base64.urlsafe_b64encode(dumps(list(key)).encode()).decode().rstrip("=")


def key_of(cursor: str, kinds: tuple[type, ...]) -> Key:
    """Return the key in a cursor; raise `BadCursor` if it is none, or one of another list."""
    try:
        key = loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        key = None
    if not isinstance(key, list) or len(key) != len(kinds):
        raise BadCursor("cursor: not the next_cursor of such a list")
    if any(type(part) is not kind for part, kind in zip(key, kinds, strict=True)) or _too_large(key):
        raise BadCursor("cursor: not the next_cursor of such a list")
    return tuple(key)


def _too_large(key: list[Any]) -> bool:
    return any(isinstance(part, int) and abs(part) >= 1 << 63 for part in key)


def page(rows: list[sqlite3.Row], limit: int, columns: Sequence[str]) -> tuple[list[sqlite3.Row], str | None]:
    """Return the first `limit` of rows, of which one more was asked for, and the cursor of the next page."""
    shown = rows[:limit]
    more = len(rows) > limit
    return shown, cursor_of([shown[-1][column] for column in columns]) if more and shown else None
