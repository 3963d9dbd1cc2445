"""What people and other apps submit on the control topic: checked for its shape here; whether it counts, the node's agent decides."""

from __future__ import annotations

import math
from typing import Any

from schemas import headers as names
from schemas.claims import JSON_TYPE, Claim, malformed
from schemas.claims import text_of as text_of_claim
from schemas.codec import dumps
from schemas.headers import header, headers_of
from schemas.ids import traceparent_of
from schemas.records import ErrorInfo, Json, RedriveRequested, Refused, ResultReceived, ReviewSubmitted
from streams.core.compiled import CompiledWorkflow
from streams.core.inbound import Inbound
from streams.core.limits import MAX_KEY, MAX_MESSAGE, cut, size_of
from streams.core.retry import MAX_WAIT_MS
from streams.core.transition import Moment, Send
from topology.claim_stores import refused
from topology.items import base_of, index_of
from topology.plan import NodePlan, WorkflowPlan

REVIEW_TEXTS = {"reviewer": MAX_KEY, "comment": MAX_MESSAGE, "hash": MAX_KEY}


EXPIRED = "expired: the run's state was dropped after state_retention_ms"


class Unusable(Exception):
    """A submission that says nothing: the message tells what it should be."""


Submission = RedriveRequested | ReviewSubmitted | ResultReceived | Refused


def submitted(workflow: str, topic: str, record: Submission, traceparent: str | None = None) -> Send:
    """Return the record with an id of the command's place: there may be any number of them for one node and epoch.

    `traceparent` is the run's, where it is known.
    """
    at, kind = record.source, type(record).__name__
    headers = {
        names.CE_ID: f"{record.run_id}/{record.node}/{at.topic}/{at.partition}/{at.offset}/{kind}",
        names.CE_TYPE: kind,
        names.TRACEPARENT: traceparent or traceparent_of(workflow, record.run_id),
    }
    return Send(topic, record.run_id.encode(), record, headers_of(headers))


def refuse_expired(plan: WorkflowPlan, record: ReviewSubmitted | ResultReceived) -> Send:
    """Return the refusal of what is said of a run whose nodes' rows were dropped."""
    if isinstance(record, ReviewSubmitted):
        command, by, at = "review", record.reviewer, record.submitted_at
    else:
        command, by, at = "result", None, record.received_at
    refused = Refused(record.run_id, record.node, max(record.epoch, 0), command, EXPIRED, by, at, record.source)
    return submitted(plan.id, plan.node(record.node).topic, refused)


def node_of(plan: WorkflowPlan, value: dict[str, Any]) -> NodePlan:
    """Return the node that a submission names."""
    name = value.get("node")
    base = base_of(name) if isinstance(name, str) and name else None  # an item of a node is called id[index]
    found = next((node for node in plan.nodes if node.id == base), None)
    if found is None or (base != name and (found.for_each is None or index_of(str(name)) is None)):
        known = ", ".join(node.id for node in plan.nodes)
        raise Unusable(f"a {value['type']} names a node of the workflow: {known}")
    return found


def epoch_of(value: dict[str, Any]) -> int | None:
    """Return the epoch that is named, None if none is."""
    epoch = value.get("epoch")
    if epoch is not None and not _is_count(epoch):
        raise Unusable('"epoch" is not a number of an epoch')
    return epoch


def text_of(value: dict[str, Any], key: str, limit: int = MAX_KEY) -> str | None:
    """Return a text, cut to `limit` characters; None if there is none."""
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise Unusable(f'"{key}" is not a text')
    return cut(found, limit)


DECISIONS = ("approve", "reject")


def review_submitted(
    plan: WorkflowPlan, run_id: str, value: dict[str, Any], record: Inbound, moment: Moment, most: int
) -> Send:
    """Return a person's decision for the node's journal; an edit has at most `most` bytes."""
    node, epoch, decision = node_of(plan, value), epoch_of(value), value.get("decision")
    if decision not in DECISIONS:
        raise Unusable(f'a review\'s "decision" is {" or ".join(DECISIONS)}')
    reviewer, comment, shown = (text_of(value, key, n) for key, n in REVIEW_TEXTS.items())
    if not reviewer:
        raise Unusable('a review names its "reviewer"')
    edit = value.get("edit")
    if edit is not None and not isinstance(edit, dict):
        raise Unusable('"edit" is not a JSON object')
    text = None if edit is None else dumps(edit)
    if size_of(text) > most:
        raise Unusable(f'"edit" has {size_of(text)} bytes, {most} are allowed')
    at = record.position
    if node.review is None:
        why = f"nobody reviews node {node.id!r}"
        refused = Refused(run_id, node.id, epoch or 0, "review", why, reviewer, moment.now, at)
        return submitted(plan.id, node.topic, refused)
    wanted = -1 if epoch is None else epoch
    found = ReviewSubmitted(run_id, node.id, wanted, shown, decision, reviewer, comment, text, moment.now, at)
    return submitted(plan.id, node.topic, found)


def result_received(
    workflow: CompiledWorkflow, run_id: str, value: dict[str, Any], record: Inbound, moment: Moment
) -> Send:
    """Return an external app's answer for the node's journal; a header says that its output is a claim."""
    plan = workflow.plan
    node, epoch, attempt = node_of(plan, value), epoch_of(value), value.get("attempt")
    if epoch is None:
        raise Unusable('a result names its "epoch", as the request does')
    if not isinstance(attempt, int) or not _is_count(attempt) or attempt == 0:
        raise Unusable('a result names its "attempt", as the request does')
    if ("output" in value) == ("error" in value):
        raise Unusable('a result has either an "output" or an "error"')
    if node.kind != "external":
        why = f"node {node.id!r} is no external node"
        refused = Refused(run_id, node.id, epoch, "result", why, None, moment.now, record.position)
        return submitted(plan.id, node.topic, refused)
    name = value["node"] if node.for_each is not None else node.id
    output, error = _answer_of(workflow, value, record)
    received = ResultReceived(run_id, name, epoch, attempt, output, error, moment.now, record.position)
    return submitted(plan.id, node.topic, received)


def _answer_of(
    workflow: CompiledWorkflow, value: dict[str, Any], record: Inbound
) -> tuple[Json | None, ErrorInfo | None]:
    """Return an answer's output, or its error."""
    if "error" in value:
        return None, _error_of(value["error"])
    if not isinstance(value["output"], dict):
        raise Unusable('"output" is not a JSON object')
    if header(record.headers, names.CLAIM) is not None:
        return _claimed(value["output"], workflow.stores)
    return _output_of(value["output"], workflow.limits.output)


def _output_of(output: dict[str, Any], most: int) -> tuple[Json | None, ErrorInfo | None]:
    """Return the output; one that no record can hold is a failure that no retry mends."""
    text = dumps(output)
    if size_of(text) <= most:
        return text, None
    message = f"the output has {size_of(text)} bytes, {most} are allowed: put it into a claim store, and answer with its claim"
    return None, ErrorInfo("too_large", message, retryable=False)


def _claimed(output: dict[str, Any], stores: tuple[str, ...]) -> tuple[Json | None, ErrorInfo | None]:
    """Return the claim that stands for an output; one that cannot be read is a failure that no retry mends."""
    if problem := malformed(output):
        message = f"the header {names.CLAIM} says that the output is a claim, but {problem}"
        return None, ErrorInfo("claim_malformed", message, retryable=False)
    claim = Claim(output)
    if claim.media_type != JSON_TYPE:
        message = f"an output is a JSON object, this is {claim.media_type}"
        return None, ErrorInfo("claim_malformed", message, retryable=False)
    if why := refused(claim.uri, stores):
        return None, ErrorInfo("claim_refused", why, retryable=False)
    return text_of_claim(claim), None


def _error_of(error: Any) -> ErrorInfo:
    """Return an error: a text, or an object that says more."""
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        raise Unusable('"error" is a text, or an object with a "message"')
    retryable, wait = error.get("retryable", True), error.get("retry_after_s")
    if not isinstance(retryable, bool):
        raise Unusable('"retryable" is true or false')
    number = isinstance(wait, int | float) and not isinstance(wait, bool) and math.isfinite(wait) and wait >= 0
    if wait is not None and not number:
        raise Unusable('"retry_after_s" is a number of seconds')
    after = None if wait is None else int(min(wait * 1000, MAX_WAIT_MS))
    kind = text_of(error, "kind", 100) or "external"
    return ErrorInfo(kind, cut(error["message"], MAX_MESSAGE) or "", retryable, after)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
