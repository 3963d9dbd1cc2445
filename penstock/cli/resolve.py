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
    from schemas.claims import a_claim_in, by_form

    outputs = found.get("outputs") or {}
    if not any(a_claim_in(value) for value in outputs.values()):
        outputs = by_form(outputs)
    return found | {"outputs": {name: await _one(claims, value) for name, value in outputs.items()}}


async def detail(claims: Claims | None, found: dict[str, Any]) -> dict[str, Any]:
    """Return what `runs show` prints with the claimed ones of its outputs read."""
    nodes = {name: node | {"output": await _one(claims, node.get("output"))} for name, node in found["nodes"].items()}
    return found | {"nodes": nodes}


async def _one(claims: Claims | None, value: Any) -> Any:
    from streams.claims.claims import ClaimProblem, Claims
    from streams.errors import ClaimStoreError

    try:
        return await (claims or Claims()).whole(value)
    except ClaimProblem as problem:
        raise ClaimStoreError(str(problem)) from None
