"""A refused command, as a record of the node's journal."""

from __future__ import annotations

from schemas import headers as names
from schemas.headers import headers_of
from schemas.ids import traceparent_of
from schemas.records import Refused
from streams.core.transition import Send
from topology.plan import WorkflowPlan


def refused(plan: WorkflowPlan, topic: str, record: Refused) -> Send:
    """Return the record with an id of the command's place: a node may refuse any number of commands in one epoch."""
    at = record.source
    return Send(
        topic,
        record.run_id.encode(),
        record,
        headers_of(
            {
                names.CE_ID: f"{record.run_id}/{record.node}/{at.topic}/{at.partition}/{at.offset}/Refused",
                names.CE_TYPE: "Refused",
                names.TRACEPARENT: traceparent_of(plan.id, record.run_id),
            }
        ),
    )
