"""The register of doctored logs: each is an honest one, a way to break it, and the codes that the audit must give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.codec import decode, dumps, loads
from tests.audit.memory import Doctored


@dataclass(frozen=True)
class Case:
    """Something that must not happen."""

    name: str
    story: str
    break_it: Callable[[Doctored], Any]
    codes: frozenset[str]


CASES: list[Case] = []


def case(story: str, *codes: str) -> Callable[[Callable[[Doctored], Any]], Callable[[Doctored], Any]]:
    """Register how to break the log of `story`, and exactly what the audit must say then."""

    def register(break_it: Callable[[Doctored], Any]) -> Callable[[Doctored], Any]:
        CASES.append(Case(break_it.__name__.replace("_", " "), story, break_it, frozenset(codes)))
        return break_it

    return register


def but(value: bytes | None, **changes: Any) -> Any:
    """Return the record in `value` with fields changed."""
    return replace(decode(value or b""), **changes)  # type: ignore[type-var]


def json_but(value: bytes | None, **changes: Any) -> bytes:
    """Return the JSON object in `value` with fields changed."""
    body: Mapping[str, Any] = loads(value or b"")
    return dumps({**body, **changes}).encode()
