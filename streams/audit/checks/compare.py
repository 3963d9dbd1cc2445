"""Comparing what two places say of the same thing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from schemas.records import ErrorInfo, Position, Spent


def differing(fields: Iterable[tuple[str, Any, Any]]) -> str:
    """Return the (field, said, wanted) that differ as one line, empty if none does."""
    return "; ".join(f"{name} is {said!r}, should be {wanted!r}" for name, said, wanted in fields if said != wanted)


def same_spent(said: Spent, wanted: Spent) -> tuple[Spent, Spent]:
    """Return both, made equal if they differ only by the order of adding dollars up."""
    tokens = said.prompt_tokens == wanted.prompt_tokens and said.completion_tokens == wanted.completion_tokens
    return (wanted, wanted) if tokens and same_cost(said.cost_usd, wanted.cost_usd) else (said, wanted)


def same_cost(said: object, wanted: float | None) -> bool:
    """Say whether two sums of dollars are the same but for the order of adding them up."""
    if wanted is None or not isinstance(said, int | float):
        return said is None and wanted is None
    return math.isclose(said, wanted, rel_tol=1e-9, abs_tol=1e-12)


def same_error(said: ErrorInfo | None, wanted: ErrorInfo | None) -> tuple[Any, Any]:
    """Return what both errors say, without tracebacks: a message of one line."""
    return tuple(None if error is None else (error.kind, error.message, error.retryable) for error in (said, wanted))  # type: ignore[return-value]


def text(at: Position) -> str:
    """Return a place as people write it."""
    return f"{at.topic}/{at.partition}/{at.offset}"
