"""What goes to stdout: JSON lines for programs, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.cli.errors import say

WIDE = 200
"""Columns of a table that goes to a file or a pipe."""


def line(value: Mapping[str, Any]) -> None:
    """Print one JSON object, at once: somebody may be reading along."""
    from schemas.codec import dumps

    sys.stdout.write(dumps(value) + "\n")
    sys.stdout.flush()


def text(content: str) -> None:
    """Print `content` as it is."""
    sys.stdout.write(content if content.endswith("\n") else content + "\n")
    sys.stdout.flush()


def piece(content: str) -> None:
    """Print a part of a line, at once."""
    sys.stdout.write(content)
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; nothing in the cells is taken for markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(columns):
        drawn.add_column(
            column, overflow="fold", no_wrap=position == 0
        )  # what is copied from a table stays in one piece
    for row in rows:
        drawn.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(drawn)


def fields(value: Mapping[str, Any]) -> None:
    """Print an object as one line per key."""
    width = max(map(len, value), default=0)
    for key, field in value.items():
        text(f"{key:<{width}}  {'' if field is None else compact(field)}")


def compact(value: Any) -> str:
    """Return strings as they are and anything else as JSON."""
    from schemas.codec import dumps

    return value if isinstance(value, str) else dumps(value)


def show(value: Mapping[str, Any], as_json: bool) -> None:
    """Print an object for whom it is meant."""
    if as_json:
        line(value)
    else:
        fields(value)


def cost(dollars: float | None) -> str:
    """Return dollars as people read them; None is a price nobody knows."""
    return "unknown" if dollars is None else f"{dollars:.6f}".rstrip("0").rstrip(".") or "0"


__all__ = ["compact", "cost", "fields", "line", "say", "show", "table", "text"]
