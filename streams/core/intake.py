"""Intake: check a public record, name its run, and say what goes to `{wf}.run`. Stateless: it decides nothing about a run."""

from __future__ import annotations

from typing import Any

from schemas import headers as names
from schemas.claims import MEMBER, PREFIX, Claim, input_text, malformed
from schemas.codec import CodecError, dumps, loads
from schemas.headers import header
from schemas.ids import content_hash, is_run_id, run_id_from_bytes, run_id_from_position, traceparent_of
from schemas.records import Cancelled, CancelRequested, Json, RedriveRequested, Refused, Started
from schemas.registered import json_of as avro_as_json
from schemas.sealed import is_sealed, key_id_of
from schemas.trace import parse_traceparent
from streams.core.compiled import CompiledWorkflow
from streams.core.dead_letter import poison
from streams.core.inbound import Inbound, is_unread
from streams.core.limits import MAX_KEY, MAX_ROW_BYTES, cut, size_of
from streams.core.submissions import (
    Unusable,
    epoch_of,
    node_of,
    result_received,
    review_submitted,
    submitted,
    text_of,
)
from streams.core.transition import Moment, Send, send, traced
from streams.errors import KeyMissing
from topology.claim_stores import refused
from topology.plan import INPUT, NodePlan, RunIdFrom, WorkflowPlan


class Poison(Exception):
    """The record cannot be used: `kind` and the message go to the dead letter's headers."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def admit(workflow: CompiledWorkflow, record: Inbound, moment: Moment) -> Send:
    """Return the one record that follows from a record of the input topic: `Started`, or a dead letter."""
    plan, most = workflow.plan, workflow.limits.input
    try:
        claimed = header(record.headers, names.CLAIM) is not None  # a claim is JSON, whatever it stands for
        text, value = _avro_of(record, most) if plan.input_format == "avro" and not claimed else _json_of(record, most)
        claim = _claim_in(workflow, record, value)
        if claim is None:
            _check_schema(workflow, value)
            digest = _hash_of(value)
        else:
            digest = claim.sha256  # the schema is checked by whoever reads it (streams/engine/attempt.py)
        text = input_text(text.encode(), claim is not None) if PREFIX in text or claim else text
        run_id = name_run(plan.run_id_from, record)
        reused = _reused(plan, record)
    except Poison as why:
        return poison(plan.topic("dead-letter"), plan.id, record, why.kind, str(why))
    started = Started(
        run_id=run_id,
        input=Json(text),
        input_hash=digest,
        plan_hash=plan.plan_hash,
        workflow_version=plan.version,
        started_at=moment.now,
        source=record.position,
        source_key=record.key,
        traceparent=_trace(plan, run_id, record),
        reused=reused,
    )
    return send(plan.topic("run"), started, "run", 0, 0, started.traceparent)


def command(workflow: CompiledWorkflow, record: Inbound, moment: Moment) -> tuple[Send, ...]:
    """Return what follows from a record of the control topic.

    A cancel goes to every node's journal straight away, not by way of the run agent: `{wf}.run` may be paused or far behind.
    It is the first epoch's; the run agent, which knows the others, cancels those.
    """
    sends, brought = _command(workflow, record, moment), header(record.headers, names.TRACEPARENT)
    return sends if parse_traceparent(brought) is None else tuple(traced(send, brought or "") for send in sends)


def _command(workflow: CompiledWorkflow, record: Inbound, moment: Moment) -> tuple[Send, ...]:
    plan, limits = workflow.plan, workflow.limits
    try:
        _, value = _json_of(record, MAX_ROW_BYTES)
        kind, run_id = _command_of(value)
        match kind:
            case "cancel":
                return _cancel(plan, run_id, record, moment)
            case "redrive":
                return (_redrive(plan, run_id, value, record, moment, limits.edit),)
            case "replay":
                return (_replay(plan, run_id, value, record, moment),)
            case "review":
                return (review_submitted(plan, run_id, value, record, moment, limits.edit),)
            case "result":
                return (result_received(workflow, run_id, value, record, moment),)
            case _:
                raise Poison("control", f"not in effect yet: control record of type {kind!r}")
    except Poison as why:
        return (poison(plan.topic("dead-letter"), plan.id, record, why.kind, str(why)),)
    except Unusable as why:
        return (poison(plan.topic("dead-letter"), plan.id, record, "control", str(why)),)


def _cancel(plan: WorkflowPlan, run_id: str, record: Inbound, moment: Moment) -> tuple[Send, ...]:
    trace = traceparent_of(plan.id, run_id)
    requested = CancelRequested(run_id, moment.now, record.position)
    return (
        send(plan.topic("run"), requested, "run", 0, 0, trace),
        *(send(node.topic, Cancelled(run_id, node.id, 0, 0, moment.now), node.id, 0, 0, trace) for node in plan.nodes),
    )


def _redrive(
    plan: WorkflowPlan, run_id: str, value: dict[str, Any], record: Inbound, moment: Moment, most: int
) -> Send:
    """Return `RedriveRequested` for the run agent, or `Refused` for the node's journal if the edit cannot be what the node sees."""
    node, epoch, edit = node_of(plan, value), epoch_of(value), value.get("edit")
    by = value.get("requested_by")
    by = cut(by, MAX_KEY) if isinstance(by, str) else None
    why = None if edit is None else _edit_refused(plan, node, edit, most)
    if why is not None:
        return submitted(
            plan.id, node.topic, Refused(run_id, node.id, epoch or 0, "redrive", why, by, moment.now, record.position)
        )
    text = None if edit is None else dumps(edit)
    requested = RedriveRequested(run_id, node.id, epoch, text, by, moment.now, record.position)
    return submitted(plan.id, plan.topic("run"), requested)


def _replay(plan: WorkflowPlan, run_id: str, value: dict[str, Any], record: Inbound, moment: Moment) -> Send:
    """Return `RedriveRequested` for what is to run again, whatever became of it; without a node it is all of the run."""
    whole = value.get("node") is None
    node = plan.nodes[0] if whole else node_of(plan, value)
    replay, reuse = text_of(value, "replay"), value.get("reuse", False)
    if not isinstance(reuse, bool):
        raise Unusable('"reuse" is true or false')
    requested = RedriveRequested(
        run_id,
        node.id,
        epoch_of(value),
        None,
        text_of(value, "requested_by"),
        moment.now,
        record.position,
        replay or "",
        whole,
        reuse,
    )
    return submitted(plan.id, plan.topic("run"), requested)


def _edit_refused(plan: WorkflowPlan, node: NodePlan, edit: Any, most: int) -> str | None:
    """Return why an edit is refused: it is a merge patch of what the node sees, and the input of what runs below it."""
    if not isinstance(edit, dict):
        return "edit: not a JSON object"
    seen = (INPUT, *node.reads)
    unknown = sorted(set(edit) - set(seen))
    if unknown:
        return f"edit: {unknown[0]!r} is nothing that node {node.id!r} sees; it sees {', '.join(seen)}"
    size = size_of(dumps(edit))
    return f"edit: {size} bytes, {most} are allowed" if size > most else None


def _claim_in(workflow: CompiledWorkflow, record: Inbound, value: Any) -> Claim | None:
    """Return what the record claims; only a header makes it a claim, and only a store that is allowed may be named."""
    looks = isinstance(value, dict) and MEMBER in value
    if not looks and not workflow.stores:
        return None
    if header(record.headers, names.CLAIM) is None:
        return None
    problem = malformed(value)
    if problem is not None:
        raise Poison("claim_malformed", f"the header {names.CLAIM} says that the value is a claim, but {problem}")
    claim, why = Claim(value), refused(Claim(value).uri, workflow.stores)
    if why is not None:
        raise Poison("claim_refused", why)
    return claim


def name_run(how: RunIdFrom, record: Inbound) -> str:
    """Return the id of the run that `record` starts: what `penstock publish` set, else what the workflow's `run_id_from` says."""
    if named := header(record.headers, names.RUN_ID):
        return run_id_from_bytes(named.encode())
    key, ce_id = record.key, header(record.headers, names.CE_ID)
    if how in ("auto", "key") and key:
        return run_id_from_bytes(key)
    if how in ("auto", "ce_id") and ce_id:
        return run_id_from_bytes(ce_id.encode())
    if how == "key":
        raise Poison("no_run_id", "the workflow says run_id_from: key, and the record has no key")
    if how == "ce_id":
        raise Poison("no_run_id", "the workflow says run_id_from: ce_id, and the record has no such header")
    return run_id_from_position(record.topic, record.partition, record.offset, record.timestamp)


def _trace(plan: WorkflowPlan, run_id: str, record: Inbound) -> str:
    """Return the trace that a record brings, else the one that is derived from its run."""
    brought = header(record.headers, names.TRACEPARENT)
    return brought if brought is not None and parse_traceparent(brought) else traceparent_of(plan.id, run_id)


def _reused(plan: WorkflowPlan, record: Inbound) -> tuple[str, ...]:
    text = header(record.headers, names.REUSED)
    reused = tuple(text.split(",")) if text else ()
    unknown = set(reused) - {node.id for node in plan.nodes}
    if unknown:
        raise Poison("reused", f"{names.REUSED} names {min(unknown)!r}, which is no node of the workflow")
    return reused


def _json_of(record: Inbound, most: int) -> tuple[str, Any]:
    if record.value is None:
        raise Poison("null_input", "the record has no value")
    if len(record.value) > most:
        raise Poison("too_large", f"the record has {len(record.value)} bytes, {most} are allowed")
    try:
        text = record.value.decode()
        value = loads(text)
    except ValueError as error:
        _refuse_sealed(record, error)
        raise Poison("invalid_json", f"not JSON: {error}") from error
    if value is None:
        raise Poison("null_input", "the record's value is null")
    return text, value


def _refuse_sealed(record: Inbound, error: Exception) -> None:
    if is_unread(record):
        raise _key_missing(record) from None
    if is_sealed(record.value):
        raise Poison("altered", "encrypted, but not for this topic and key: it was changed, or moved here") from error


def _key_missing(record: Inbound) -> KeyMissing:
    """Return what stops the worker: a record that it merely cannot read is not to be buried."""
    key_id = key_id_of(record.value or b"")
    return KeyMissing(
        f"{record.topic}/{record.partition}/{record.offset}: encrypted with key {key_id!r}, and this worker has no keys: add "
        f"encryption.keys.{key_id} to the settings. Nothing was skipped"
    )


def _avro_of(record: Inbound, most: int) -> tuple[str, Any]:
    """Return what a record in Avro holds, as JSON: by the schema that its producer wrote it with, which the record names."""
    if record.value is None:
        raise Poison("null_input", "the record has no value")
    try:
        value = avro_as_json(record.value)
        text = dumps(value)
    except (CodecError, TypeError) as error:
        _refuse_sealed(record, error)
        raise Poison("undecodable", f"input_format is avro: {error}") from error
    if value is None:
        raise Poison("null_input", "the record's value is null")
    if max(len(record.value), len(text)) > most:
        raise Poison("too_large", f"the record has {len(record.value)} bytes, {most} are allowed")
    return text, value


def _hash_of(value: Any) -> str:
    try:
        return content_hash(value)
    except TypeError as error:  # it can be read nested more deeply than written
        raise Poison("invalid_json", f"nested too deeply: {error}") from error


def _check_schema(workflow: CompiledWorkflow, value: Any) -> None:
    problems = workflow.input_schema.validate(value) if workflow.input_schema else []
    if problems:
        raise Poison("input_schema", "; ".join(problems))


def _command_of(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Poison("control", 'a control record is a JSON object with a "type"')
    run_id = value.get("run_id")
    if not isinstance(run_id, str) or not is_run_id(run_id):
        raise Poison("control", 'a control record names its run in "run_id"')
    return value["type"], run_id
