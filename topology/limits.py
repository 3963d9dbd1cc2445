"""How large values of a workflow may be, and so the records that hold them: nothing is ever too large to be written.

A record that cannot be written would stop a worker for good, so sizes are checked where data comes in. With a claim check small enough
for what its nodes see, everything fits the records that Kafka takes by default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from topology.plan import INPUT, ClaimCheck, WorkflowPlan

KAFKA_DEFAULT = 1_048_588
"""Kafka's `message.max.bytes` where nobody set it."""
TAKEN_IN = 1_000_000
"""What the public topics of a workflow that lives on it take: a dead letter has the whole record, and the reason beside it."""

MOST = 1_000_000
"""What a value of Kafka's default may have: headers, names and encryption need the rest."""
BESIDE = 200_000
"""What else a node's row may hold: errors, edits, what is counted."""
OF_A_NODE = 25_000
"""What a run's row and its result say of each node."""
COPIES = 2
"""A node's row holds its own output, too, and those of earlier epochs."""
LEAST, AROUND = 512, 16
"""A claim is not much smaller than that; what stands around an item's output in the list."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of JSON: of one output, of what a review hands on, of all that stands in one row, of an input, of an edit.

    `on_default`: records are no larger than Kafka takes by default.
    """

    output: int
    reviewed: int
    row: int
    input: int
    edit: int
    on_default: bool = False


LARGE = Limits(output=1_000_000, reviewed=1_000_000, row=8_000_000, input=8_000_000, edit=1_000_000)
"""Of a workflow whose topics take 16 MB a record."""


def limits_of(plan: WorkflowPlan) -> Limits:
    """Return how large a workflow's values may be: as large as fits Kafka's default, if nothing larger is left to records."""
    if plan.claim_check is None:
        return LARGE
    seen, held, shown = _counts(plan)
    each = min((MOST - BESIDE) // held, (MOST - len(plan.nodes) * OF_A_NODE) // shown)
    if each < plan.claim_check.above_bytes:
        return LARGE
    row = max(seen, shown) * each
    return Limits(each, row, row, each, min(each, BESIDE // 4), on_default=True)


def for_each_of(check: ClaimCheck, items: int) -> ClaimCheck:
    """Return from which size on the outputs of `items` items are put away: what an agent gathers of them is to stay a small value."""
    return replace(check, above_bytes=min(check.above_bytes, max(LEAST, check.above_bytes // items - AROUND)))


def _counts(plan: WorkflowPlan) -> tuple[int, int, int]:
    """Return how many values a node sees, its row holds, and a result shows at most; a review hands on all that was reviewed, and a comment."""
    weight, seen, held = {INPUT: 1}, 1, 1 + COPIES
    for node in plan.nodes:
        sees = sum(weight[name] for name in node.reads) + node.reads_input
        weight[node.id] = 1 if node.kind != "review" else sees + 1
        seen, held = max(seen, sees), max(held, sees + max(COPIES, weight[node.id]))
    return seen, held, max(1, sum(weight[sink] for sink in plan.sinks))
