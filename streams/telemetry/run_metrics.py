"""What a workflow's runs, nodes and attempts add to the metrics."""

from __future__ import annotations

from schemas.records import TERMINAL_STATUSES, AttemptFailed, NodeRow, Record, RunRow, Spent, Succeeded
from streams.telemetry.metrics import Metrics
from topology.items import base_of
from topology.plan import NodePlan, WorkflowPlan


class RunMetrics:
    """Counts for one workflow. An item of a `for_each` node counts as its node's attempt, not as a node."""

    def __init__(self, metrics: Metrics, plan: WorkflowPlan) -> None:
        self.metrics = metrics
        self._workflow = plan.id
        self._ended = 0
        self._cost = 0.0

    @property
    def cost_per_run(self) -> float | None:
        """US dollars that runs which ended here have cost on average, None before the first."""
        return self._cost / self._ended if self._ended else None

    def run_changed(self, before: RunRow | None, after: RunRow) -> None:
        """Count a run that ended."""
        ran = before is None or before.status == "running" or before.epoch != after.epoch
        if not ran or after.status == "running" or after.finished_at is None:
            return
        self.metrics.runs.labels(self._workflow, after.status).inc()
        began = after.started_at if after.epoch_started_at is None else after.epoch_started_at
        self.metrics.run_seconds.labels(self._workflow).observe(_seconds(began, after.finished_at))
        spent = sum((outcome.spent for outcome in after.nodes.values()), Spent())
        if spent.cost_usd is not None:
            self._ended += 1
            self._cost += spent.cost_usd

    def node_changed(self, node: NodePlan, before: NodeRow | None, after: NodeRow) -> None:
        """Count a node that ended."""
        again = before is not None and before.status in TERMINAL_STATUSES and before.epoch == after.epoch
        if again or after.status not in TERMINAL_STATUSES or after.item is not None:
            return
        self.metrics.results.labels(self._workflow, node.id, node.kind, after.status).inc()
        if after.started_at is not None and after.finished_at is not None:
            seconds = _seconds(after.started_at, after.finished_at)
            self.metrics.node_seconds.labels(self._workflow, node.id, node.kind).observe(seconds)
        if after.status in ("success", "failed"):
            good, bad = self.metrics.ends.get((self._workflow, node.id), (0, 0))
            won = after.status == "success"
            self.metrics.ends[self._workflow, node.id] = (good + won, bad + (not won))

    def attempt_began(self, node: NodePlan, row: NodeRow, now_ms: int) -> None:
        """Note how long an attempt waited for a slot."""
        if row.launched_at is not None:
            waited = _seconds(row.launched_at, now_ms)
            self.metrics.queue_seconds.labels(self._workflow, base_of(node.id), node.kind).observe(waited)

    def attempt_ended(self, node: NodePlan, record: Record | bytes | None) -> None:
        """Count an attempt; None: it was given up."""
        name = base_of(node.id)
        self.metrics.attempts.labels(self._workflow, name, _outcome(record)).inc()
        if not isinstance(record, Succeeded | AttemptFailed):
            return
        if isinstance(record, AttemptFailed):
            self.metrics.errors.labels(self._workflow, name, record.error.kind).inc()
        seconds = _seconds(record.started_at, record.finished_at)
        self.metrics.attempt_seconds.labels(self._workflow, name, node.kind).observe(seconds)
        self._spent(name, record.model, record.spent)

    def restored(self, seconds: float) -> None:
        """Note how long a takeover took."""
        self.metrics.restore_seconds.labels(self._workflow).observe(seconds)

    def _spent(self, node: str, model: str | None, spent: Spent) -> None:
        if model is None:
            return
        tokens = self.metrics.tokens
        tokens.labels(self._workflow, node, model, "input").inc(spent.prompt_tokens)
        tokens.labels(self._workflow, node, model, "output").inc(spent.completion_tokens)
        self.metrics.cost.labels(self._workflow, node, model).inc(spent.cost_usd or 0.0)


def _outcome(record: Record | bytes | None) -> str:
    match record:
        case Succeeded():
            return "success"
        case AttemptFailed():
            return "failed"
        case None:
            return "cancelled"
        case _:
            return "deferred"


def _seconds(began: int | None, ended: int) -> float:
    return 0.0 if began is None else max(0, ended - began) / 1000
