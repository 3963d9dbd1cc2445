"""The spans of a workflow's runs (docs/observability.md has the tree). Nothing is kept between two of them but ids anybody can derive."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from opentelemetry.trace import Link, Span, SpanKind

from schemas import headers as names
from schemas.headers import header
from schemas.ids import traceparent_of
from schemas.quick import replace
from schemas.records import (
    TERMINAL_STATUSES,
    Decided,
    EpochOpened,
    Finished,
    ModelSwitched,
    NodeRow,
    Position,
    ReviewRequested,
    RunRow,
    Spent,
    Started,
)
from schemas.trace import TraceParent, parse_traceparent
from streams.core.inbound import Inbound
from streams.core.transition import Send, traced
from streams.telemetry import semconv
from streams.telemetry.attempt_spans import AttemptEnd, AttemptTrace, node_attributes, told_of_start
from streams.telemetry.places import Places
from streams.telemetry.tracing import NS_PER_MS, Tracing, fail, link, place_of
from topology.items import base_of, index_of
from topology.naming import consumer_group
from topology.plan import NodePlan, WorkflowPlan

COMMANDS = frozenset({"CancelRequested", "RedriveRequested", "ReviewSubmitted", "ResultReceived", "Refused"})
"""What others said, or what is said of it: it comes from the intake of theirs."""

REMEMBERED = 10_000
"""Runs whose trace need not be read again; switches of model whose attempts have not begun: more are forgotten, and with them an event."""


class RunTracing:
    """Makes the spans of one workflow."""

    def __init__(self, tracing: Tracing, plan: WorkflowPlan) -> None:
        self._tracing = tracing
        self._plan = plan
        self._trace = lru_cache(REMEMBERED)(self._trace_of)
        self._derived = lru_cache(REMEMBERED)(self._derived_of)
        self._switched: dict[tuple[str, str, int, int], ModelSwitched] = {}

    # ---- intake -----------------------------------------------------------------------------------------------------

    def took_in(self, record: Inbound, sends: tuple[Send, ...]) -> tuple[Send, ...]:
        """Tell of a record from a public topic, and return what followed as coming from there.

        One that brings no trace and starts no run is in none: only its node knows which that would be.
        """
        brought = parse_traceparent(header(record.headers, names.TRACEPARENT))
        value = sends[0].value if sends else None
        run_id = getattr(value, "run_id", None)
        at = brought
        if at is None and isinstance(value, Started):
            at = self._trace(value.traceparent, value.run_id)
        if at is None:
            return sends
        if self._tracing.drops(at):
            return tuple(traced(send, str(at)) for send in sends)
        place = self._intake(at, run_id or "", record.position)
        said = {**self._of(run_id, None), **self._consumed(record)}
        span = self._tracing.start(f"process {record.topic}", place, brought, SpanKind.CONSUMER, said)
        if run_id is None:  # what follows is a dead letter
            fail(span, header(sends[0].headers, f"{names.ERROR}kind") or "refused")
        span.end()
        return tuple(traced(send, str(place)) for send in sends)

    def _consumed(self, record: Inbound) -> dict[str, str | int]:
        return {
            semconv.MESSAGING_SYSTEM: semconv.KAFKA,
            semconv.MESSAGING_DESTINATION: record.topic,
            semconv.MESSAGING_PARTITION: str(record.partition),
            semconv.MESSAGING_OFFSET: record.offset,
            semconv.MESSAGING_GROUP: consumer_group(self._plan.id),
            semconv.MESSAGING_OPERATION: "process",
            semconv.MESSAGING_OPERATION_TYPE: "process",
        }

    # ---- records ----------------------------------------------------------------------------------------------------

    def sent(self, send: Send) -> Send:
        """Return a record whose `traceparent` is the span it comes from; some are told of by a span of their own."""
        kind = header(send.headers, names.CE_TYPE)
        given = header(send.headers, names.TRACEPARENT)
        if given is None or kind is None or kind in COMMANDS:
            return send
        place = self._named(send)
        if place is None:
            return send
        run_id, node, epoch, seq = place
        run = self._trace(given, run_id)
        if run is None:
            return send
        if self._tracing.drops(run):
            return traced(send, str(run))
        return traced(send, str(self._origin(send, kind, run, Places(self._plan.id, run_id), node, epoch, seq)))

    def _origin(
        self, send: Send, kind: str, run: TraceParent, places: Places, node: str, epoch: int, seq: int
    ) -> TraceParent:
        value = send.value
        match value:
            case Started():
                return self._intake(run, value.run_id, value.source)
            case EpochOpened():
                return run.at(places.opening(epoch))
            case Finished():
                return run.at(places.run(epoch))
            case ModelSwitched():
                self._remember(value)
            case ReviewRequested():
                place = run.at(places.sent("review", node, epoch, seq))
                return self._send_span(f"send {node} review", place, run.at(places.node(node, epoch)), send, node)
            case Decided():
                return self._decided(value, run, places)
        if kind == "Result":
            return self._send_span(f"send {send.topic}", run.at(places.result(epoch)), run.at(places.run(epoch)), send)
        if kind == "Request":
            place = run.at(places.attempt(node, epoch, seq, 0))
            return self._send_span(f"send {send.topic}", place, run.at(places.node(node, epoch)), send, node)
        return run.at(places.node(node, epoch))

    def _decided(self, value: Decided, run: TraceParent, places: Places) -> TraceParent:
        node, epoch = value.node, value.epoch
        place = run.at(places.sent("decision", node, epoch, value.seq))
        asked = link(run.at(places.sent("review", node, epoch, value.seq)), "request")
        said = {**self._of(value.run_id, node, epoch), semconv.DECISION: value.decision}
        above = run.at(places.node(node, epoch))
        self._tracing.start(f"decide {base_of(node)}", place, above, attributes=said, links=[asked]).end()
        return place

    def _send_span(
        self, name: str, place: TraceParent, parent: TraceParent, send: Send, node: str | None = None
    ) -> TraceParent:
        said = {
            **self._of((send.key or b"").decode(errors="replace"), node),
            semconv.MESSAGING_SYSTEM: semconv.KAFKA,
            semconv.MESSAGING_DESTINATION: send.topic,
            semconv.MESSAGING_MESSAGE_ID: header(send.headers, names.CE_ID),
            semconv.MESSAGING_OPERATION: "send",
            semconv.MESSAGING_OPERATION_TYPE: "send",
        }
        self._tracing.start(name, place, parent, SpanKind.PRODUCER, said).end()
        return place

    def _named(self, send: Send) -> tuple[str, str, int, int] | None:
        """Return run, node, epoch and seq of a record: from the record, or from its id where it is JSON."""
        value = send.value
        if value is not None and not isinstance(value, bytes):
            epoch, seq = getattr(value, "epoch", 0), getattr(value, "seq", 0)
            run_id: str | None = getattr(value, "run_id", None)
            return None if run_id is None else (run_id, getattr(value, "node", "run"), epoch, seq)
        parts = (header(send.headers, names.CE_ID) or "").split("/")
        known_parts = len(parts) == 5 and parts[2].isdecimal() and parts[3].isdecimal()
        return (parts[0], parts[1], int(parts[2]), int(parts[3])) if known_parts else None

    def _remember(self, switch: ModelSwitched) -> None:
        self._switched[switch.node, switch.run_id, switch.epoch, switch.seq] = switch
        if len(self._switched) > REMEMBERED:
            del self._switched[next(iter(self._switched))]

    # ---- runs and nodes ---------------------------------------------------------------------------------------------

    def run_changed(self, before: RunRow | None, after: RunRow) -> None:
        """Tell of an epoch that was opened, and of a run that ended."""
        old = RunRow(after.run_id) if before is None else before
        if after.source is None or (after.epoch == old.epoch and after.status == old.status):
            return
        run = self._trace(after.traceparent, after.run_id)
        if run is None or self._tracing.drops(run):
            return
        places = Places(self._plan.id, after.run_id)
        root = self._intake(run, after.run_id, after.source)
        if after.epoch != old.epoch:
            last = link(run.at(places.run(old.epoch)), "previous epoch")
            place, said = run.at(places.opening(after.epoch)), self._of(after.run_id, None, after.epoch)
            self._tracing.start(f"open epoch {self._plan.id}", place, root, attributes=said, links=[last]).end()
        ended = after.status != "running" and (old.status == "running" or old.epoch != after.epoch)
        if ended and after.finished_at is not None:
            parent = run.at(places.opening(after.epoch)) if after.epoch else root
            self._run_span(after, run.at(places.run(after.epoch)), parent)

    def _run_span(self, row: RunRow, place: TraceParent, parent: TraceParent) -> None:
        began = row.started_at if row.epoch_started_at is None else row.epoch_started_at
        ended = row.finished_at or 0
        spent = sum((outcome.spent for outcome in row.nodes.values()), Spent())
        said = {
            semconv.WORKFLOW_VERSION: row.workflow_version,
            semconv.STATUS: row.status,
            semconv.INPUT_TOKENS: spent.prompt_tokens,
            semconv.OUTPUT_TOKENS: spent.completion_tokens,
            semconv.COST: spent.cost_usd,
        }
        attributes = {**self._of(row.run_id, None, row.epoch), **said}
        span = self._tracing.start(
            f"run {self._plan.id}", place, parent, attributes=attributes, start_ns=_ns(began or ended)
        )
        if row.status == "failed":
            fail(span, next((o.error.kind for o in row.nodes.values() if o.error and o.status == "failed"), "failed"))
        span.end(_end_ns(ended))

    def node_changed(self, node: NodePlan, before: NodeRow | None, after: NodeRow) -> None:
        """Tell of a node, or an item of one, that ended."""
        if after.status not in TERMINAL_STATUSES or after.finished_at is None:
            return
        again = before is not None and before.status in TERMINAL_STATUSES and before.epoch == after.epoch
        run = self._trace(after.traceparent, after.run_id)
        if again or run is None or self._tracing.drops(run):
            return
        places = Places(self._plan.id, after.run_id)
        attributes = {**self._of(after.run_id, node.id, after.epoch), **node_attributes(node, after)}
        span = self._tracing.start(
            f"node {base_of(node.id)}",
            run.at(places.node(node.id, after.epoch)),
            self._parent_of(node, after.epoch, run, places),
            attributes=attributes,
            links=self._dependencies(node, after, run, places),
            start_ns=_ns(after.finished_at if after.started_at is None else after.started_at),
        )
        error = after.last_error
        if after.status == "failed":
            kind = error.kind if error else "failed"
            if kind == "budget":
                span.add_event(semconv.EVENT_BUDGET, {semconv.ERROR_TYPE: kind})
            fail(span, kind)
        span.end(_end_ns(after.finished_at))

    def _parent_of(self, node: NodePlan, epoch: int, run: TraceParent, places: Places) -> TraceParent:
        base = base_of(node.id)
        return run.at(places.run(epoch) if base == node.id else places.node(base, epoch))

    def _dependencies(self, node: NodePlan, row: NodeRow, run: TraceParent, places: Places) -> list[Link]:
        if index_of(node.id) is not None:
            return []
        return [link(run.at(places.node(name, row.epochs.get(name, 0))), "dependency") for name in node.sources]

    # ---- attempts ---------------------------------------------------------------------------------------------------

    def attempt(self, node: NodePlan, row: NodeRow, now_ms: int) -> AbstractContextManager[tuple[NodeRow, AttemptEnd]]:
        """Make what happens inside part of the attempt's span; enter to the row as its work is to see it, and how it ends."""
        run = self._trace(row.traceparent, row.run_id)
        if run is None:
            return nullcontext((row, AttemptEnd()))
        if self._tracing.drops(run):  # what a handler traces is not kept either
            return AttemptTrace(self._tracing.unrecorded(run), node, replace(row, traceparent=str(run)))
        span = self._attempt_span(node, row, run, now_ms)
        return AttemptTrace(span, node, replace(row, traceparent=str(place_of(span))))

    def _attempt_span(self, node: NodePlan, row: NodeRow, run: TraceParent, now_ms: int) -> Span:
        places = Places(self._plan.id, row.run_id)
        links = []
        if row.seq > 1:
            links.append(link(run.at(places.attempt(node.id, row.epoch, row.seq - 1, 0)), "previous attempt"))
        if row.launch > 0:
            links.append(link(run.at(places.attempt(node.id, row.epoch, row.seq, row.launch - 1)), "lost launch"))
        said = {
            semconv.NODE_KIND: node.kind,
            semconv.ATTEMPT: row.attempt,
            semconv.SEQ: row.seq,
            semconv.LAUNCH: row.launch,
            semconv.QUEUE_WAIT: None if row.launched_at is None else max(0, now_ms - row.launched_at),
        }
        span = self._tracing.start(
            f"attempt {base_of(node.id)}",
            run.at(places.attempt(node.id, row.epoch, row.seq, row.launch)),
            run.at(places.node(node.id, row.epoch)),
            attributes={**self._of(row.run_id, node.id, row.epoch), **said},
            links=links,
        )
        switch = self._switched.pop((node.id, row.run_id, row.epoch, row.seq), None)
        told_of_start(span, row, switch)
        return span

    # ---- shared -----------------------------------------------------------------------------------------------------

    def _trace_of(self, traceparent: str | None, run_id: str) -> TraceParent | None:
        """Return a run's trace; whether one that nobody else began is sampled, this process' sampler says."""
        found = parse_traceparent(traceparent)
        if found is not None and found == self._derived(run_id):
            return replace(found, sampled=self._tracing.sampled(found.trace_id))
        return found

    def _intake(self, run: TraceParent, run_id: str, at: Position) -> TraceParent:
        """Return the span of a public record's intake: what a derived `traceparent` names is the one that started the run."""
        if run.span_id == self._derived(run_id).span_id and at.topic == self._plan.topic("input"):
            return run
        return run.at(Places(self._plan.id, run_id).intake(at))

    def _derived_of(self, run_id: str) -> TraceParent:
        found = parse_traceparent(traceparent_of(self._plan.id, run_id))
        assert found is not None  # noqa: S101 - it is made so
        return found

    def _of(self, run_id: str | None, node: str | None, epoch: int | None = None) -> dict[str, str | int | None]:
        return {
            semconv.WORKFLOW: self._plan.id,
            semconv.RUN_ID: run_id,
            semconv.NODE: None if node is None else base_of(node),
            semconv.ITEM: None if node is None else index_of(node),
            semconv.EPOCH: epoch,
        }


def _ns(ms: int) -> int:
    return ms * NS_PER_MS


def _end_ns(ms: int) -> int:
    """Return the end of the millisecond in which something ended: what it contains ended within that, too."""
    return (ms + 1) * NS_PER_MS - 1
