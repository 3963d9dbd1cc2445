"""What the parts of a node's agent hand to each other."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.quick import quick
from schemas.records import ErrorInfo
from streams.core.compiled import CompiledNode
from streams.core.ledger import Ledger
from streams.core.transition import Moment

LOW_CONFIDENCE = "low_confidence"


@quick
@dataclass(frozen=True, slots=True)
class Context:
    """The node that decides, the moment it does so in, and the run's ledger if it spends."""

    node: CompiledNode
    moment: Moment
    ledger: Ledger | None


def stops(error: ErrorInfo | None) -> bool:
    """Say whether a node that failed so stops its run: an answer nobody may rely on ends it early, which is no failure."""
    return error is not None and error.kind == LOW_CONFIDENCE
