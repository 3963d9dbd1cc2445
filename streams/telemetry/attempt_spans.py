"""What a span says of an attempt or a node: tokens, cost, model, verdicts, route; never what was asked or answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from schemas.codec import loads
from schemas.records import AttemptDeferred, AttemptFailed, Json, ModelSwitched, NodeRow, Record, Succeeded
from streams.telemetry import semconv
from streams.telemetry.tracing import fail, tell
from topology.plan import NodePlan

SCHEMA_FAULTS = frozenset({"schema", "malformed_output"})


@dataclass(slots=True)
class AttemptEnd:
    """Where the launcher puts the record that says how an attempt ended."""

    record: Record | bytes | None = None


class AttemptTrace:
    """Goes round an attempt: its span is the current one inside, and told of the end."""

    def __init__(self, span: Span, node: NodePlan, row: NodeRow) -> None:
        self._span = span
        self._node = node
        self._inside = row, AttemptEnd()

    def __enter__(self) -> tuple[NodeRow, AttemptEnd]:
        """Begin; return the row as the work is to see it, and where its end is put."""
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self._inside

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End."""
        context.detach(self._token)
        if kind is not None:
            fail(self._span, "cancelled")
        record = self._inside[1].record
        if self._span.is_recording() and isinstance(record, Succeeded | AttemptFailed | AttemptDeferred):
            describe_end(self._span, self._node, record)
        self._span.end()


def told_of_start(span: Span, row: NodeRow, switch: ModelSwitched | None) -> None:
    """Add the events that explain why this attempt is made."""
    if switch is not None:
        said = {"from": switch.from_model, "to": switch.to_model, "reason": switch.reason}
        span.add_event(semconv.EVENT_FALLBACK, said)
        if switch.reason == "budget":
            span.add_event(semconv.EVENT_BUDGET, said)
    elif row.attempt > 1 and row.last_error is not None:
        span.add_event(semconv.EVENT_RETRY, {semconv.ATTEMPT: row.attempt, semconv.ERROR_TYPE: row.last_error.kind})


def describe_end(span: Span, node: NodePlan, record: Succeeded | AttemptFailed | AttemptDeferred) -> None:
    """Say on a span how its attempt ended."""
    if isinstance(record, AttemptDeferred):
        tell(span, {semconv.OUTCOME: "deferred", semconv.MODEL: record.model})
        event = semconv.EVENT_BREAKER if record.reason == "breaker_open" else semconv.EVENT_RATE_LIMIT
        span.add_event(event, {"reason": record.reason, "until_ms": record.due_at})
        return
    failed = isinstance(record, AttemptFailed)
    tell(
        span,
        {
            semconv.OUTCOME: "failed" if failed else "success",
            semconv.MODEL: record.model,
            semconv.INPUT_TOKENS: record.spent.prompt_tokens,
            semconv.OUTPUT_TOKENS: record.spent.completion_tokens,
            semconv.COST: record.spent.cost_usd,
            semconv.SCHEMA_VALID: _verdict(node, record),
            **_said(node, record.output),
        },
    )
    if isinstance(record, AttemptFailed):
        fail(span, record.error.kind)
        if record.error.kind == "low_confidence":
            span.add_event(semconv.EVENT_LOW_CONFIDENCE)


def node_attributes(node: NodePlan, row: NodeRow) -> dict[str, AttributeValue | None]:
    """Return what a span says of a node that ended."""
    return {
        semconv.NODE_KIND: node.kind,
        semconv.STATUS: row.status,
        semconv.ATTEMPTS: row.attempt,
        semconv.MODEL: row.model,
        semconv.INPUT_TOKENS: row.spent.prompt_tokens,
        semconv.OUTPUT_TOKENS: row.spent.completion_tokens,
        semconv.COST: row.spent.cost_usd,
        **_said(node, row.output),
    }


def _verdict(node: NodePlan, record: Succeeded | AttemptFailed) -> bool | None:
    """Return whether an answer fitted the node's schema; None where there was no answer, or no schema."""
    if node.llm is None or node.llm.output_schema is None:
        return None
    if isinstance(record, Succeeded) or record.error.kind == "low_confidence":
        return True
    return False if record.error.kind in SCHEMA_FAULTS else None


def _said(node: NodePlan, output: Json | None) -> dict[str, AttributeValue | None]:
    """Return confidence and route of an answer: of nodes that ask a model, or choose."""
    if not output or (node.llm is None and node.kind != "router"):
        return {}
    said: Any = loads(output)
    if not isinstance(said, dict):
        return {}
    confidence, route = said.get("confidence"), said.get("route")
    if not isinstance(confidence, int | float) or isinstance(confidence, bool):
        confidence = None
    return {
        semconv.CONFIDENCE: None if confidence is None else float(confidence),
        semconv.ROUTE: route if node.kind == "router" and isinstance(route, str) else None,
    }
