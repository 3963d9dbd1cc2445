"""`--resolve`: what is in claim stores in its place, read and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.claims.claims import Claims

Resolve = Annotated[
    bool, typer.Option("--resolve", help="Read outputs that are in a claim store; it must be in claim_check_stores.")
]


async def result(claims: Claims | None, found: dict[str, Any]) -> dict[str, Any]:
    """Return a result with the claimed ones of its outputs read."""
    return found | {"outputs": await outputs(claims, found.get("outputs") or {})}


async def detail(claims: Claims | None, found: dict[str, Any]) -> dict[str, Any]:
    """Return what `runs show` prints with the claimed ones of its outputs read."""
    nodes = {name: node | {"output": await _one(claims, node.get("output"))} for name, node in found["nodes"].items()}
    return found | {"nodes": nodes}


async def outputs(claims: Claims | None, found: dict[str, Any]) -> dict[str, Any]:
    """Return outputs with the claimed ones read."""
    return {name: await _one(claims, value) for name, value in found.items()}


async def _one(claims: Claims | None, value: Any) -> Any:
    from schemas.claims import MEMBER, Claim, malformed
    from streams.claims.claims import ClaimProblem, Claims
    from streams.errors import ClaimStoreError

    if not isinstance(value, dict) or MEMBER not in value or malformed(value):
        return value
    try:
        return await (claims or Claims()).get(Claim(value))
    except ClaimProblem as problem:
        raise ClaimStoreError(str(problem)) from None
