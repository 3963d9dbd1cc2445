"""Taking a model's answer of an earlier epoch of the run again: where it would be asked the very same, it is not asked (`replay --reuse-responses`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.claims import a_claim_in
from schemas.records import NodeRow, Recorded, Spent, Succeeded
from streams.core.limits import size_of
from streams.core.node_context import Context
from streams.core.node_end import close
from streams.core.transition import Transition

KEPT = 8
"""Answers of earlier epochs that a row keeps."""


def recorded_in(row: NodeRow | None, most: int) -> tuple[Recorded, ...]:
    """Return the answers of models that a row about to begin anew knows: what it ended with, and those of the epochs before.

    They have no more than `most` bytes together.
    """
    if row is None:
        return ()
    found: dict[str, Recorded] = {}
    size = 0
    for known in (*_own(row), *row.recorded):
        size += size_of(known.output)
        if known.request_hash not in found and len(found) < KEPT and size <= most:
            found[known.request_hash] = known
    return tuple(found.values())


def _own(row: NodeRow) -> tuple[Recorded, ...]:
    if row.status != "success" or row.output is None or row.request_hash is None:
        return ()
    return (Recorded(row.request_hash, row.output, row.model, row.prompt_hash),)


def answer_again(context: Context, row: NodeRow, inputs: Mapping[str, Any]) -> Transition | None:
    """Return the node's end with a recorded answer, None if it would ask something else now; TemplateError as for a call."""
    prompt = context.node.prompt
    if not row.reuse or not row.recorded or prompt is None:
        return None
    if any(a_claim_in(value) for value in inputs.values()):
        return None  # what would be asked is not known without reading a claim store
    asked = prompt.request_hash(prompt.messages(inputs, None)[0])
    known = next((answer for answer in row.recorded if answer.request_hash == asked), None)
    if known is None:
        return None
    now = context.moment.now
    record = Succeeded(
        row.run_id,
        context.node.plan.id,
        row.epoch,
        row.seq,
        row.attempt,
        known.output,
        Spent(),
        known.model,
        now,
        now,
        prompt_hash=known.prompt_hash,
        request_hash=known.request_hash,
        reused=True,
    )
    return close(context, row, record)
