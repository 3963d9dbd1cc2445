"""Taking a model's answer of an earlier epoch again: where it would be asked the very same, it is not asked (`replay --reuse-responses`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.records import NodeRow, Recorded, Spent, Succeeded
from streams.core.node_context import Context
from streams.core.node_end import close
from streams.core.transition import Transition


def recorded_in(row: NodeRow) -> Recorded | None:
    """Return the answer that a row about to begin anew ended with; None if it had none of a model."""
    if row.status != "success" or row.output is None or row.request_hash is None:
        return None
    return Recorded(row.request_hash, row.output, row.model, row.prompt_hash)


def answer_again(context: Context, row: NodeRow, inputs: Mapping[str, Any]) -> Transition | None:
    """Return the node's end with its recorded answer, None if it would ask something else now; TemplateError as for a call."""
    known, prompt = row.recorded, context.node.prompt
    if known is None or prompt is None or prompt.request_hash(prompt.messages(inputs, None)[0]) != known.request_hash:
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
