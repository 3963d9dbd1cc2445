"""The records of the journals and the rows of the tables, as frozen dataclasses: facts are past tense, times are epoch milliseconds.

`Json` fields hold JSON text as it came: nobody on the way parses what it only passes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

Json = NewType("Json", str)
"""JSON text."""

NodeStatus = Literal["pending", "running", "waiting", "success", "failed", "skipped", "cancelled"]
RunStatus = Literal["running", "success", "failed", "stopped", "cancelled"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record of a public topic stood: tells a repeat of the same record from another one."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why an attempt failed: text without secrets."""

    kind: str
    message: str
    retryable: bool
    retry_after_ms: int | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls used: tokens as the provider counted them, US dollars; None where a price is not known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Spent) -> Spent:
        known = self.cost_usd is not None and other.cost_usd is not None
        return Spent(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_usd + other.cost_usd if known else None,  # type: ignore[operator]
        )


# ---- {wf}.run -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """A run began: the first one of a run id counts, for every reader."""

    run_id: str
    input: Json
    input_hash: str
    plan_hash: str
    workflow_version: str
    started_at: int
    source: Position
    source_key: bytes | None
    traceparent: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody asked for the run's end; the run agent answers with `Cancelled` in every node's journal."""

    run_id: str
    requested_at: int
    source: Position


@dataclass(frozen=True, slots=True)
class Finished:
    """The epoch's result was written."""

    run_id: str
    epoch: int
    status: RunStatus
    finished_at: int


# ---- {wf}.{node} ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Terminal: the node's output."""

    run_id: str
    node: str
    epoch: int
    seq: int
    attempt: int
    output: Json
    spent: Spent
    model: str | None
    started_at: int
    finished_at: int


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt ended without an output; the node's agent decides what follows."""

    run_id: str
    node: str
    epoch: int
    seq: int
    attempt: int
    error: ErrorInfo
    spent: Spent
    model: str | None
    raw: str | None
    started_at: int
    finished_at: int


@dataclass(frozen=True, slots=True)
class AttemptDue:
    """The wait after attempt `seq` is over."""

    run_id: str
    node: str
    epoch: int
    seq: int
    due_at: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Terminal: no further attempt will be made. `attempt` is the number of attempts made, 0 if none could be."""

    run_id: str
    node: str
    epoch: int
    seq: int
    attempt: int
    error: ErrorInfo
    finished_at: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Terminal: the node was not to run, and why."""

    run_id: str
    node: str
    epoch: int
    seq: int
    reason: str
    finished_at: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Terminal: the run was cancelled before the node ended."""

    run_id: str
    node: str
    epoch: int
    seq: int
    finished_at: int


# ---- {wf}.retry -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """Attempt `seq` failed; the next one is due at `due_at`."""

    run_id: str
    node: str
    epoch: int
    seq: int
    due_at: int
    traceparent: str


# ---- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a node knows of one source: how it ended and, if the node reads it, its output."""

    status: NodeStatus
    output: Json | None = None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """The state of one node of one run. `seq` never restarts within an epoch; `incarnation` is the owner of a running attempt."""

    run_id: str
    status: NodeStatus = "pending"
    epoch: int = 0
    seq: int = 0
    attempt: int = 0
    started: bool = False
    closing: bool = False
    gathered: Mapping[str, Gathered] = field(default_factory=dict)
    input_hash: str | None = None
    idempotency_key: str | None = None
    incarnation: str | None = None
    launched_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    last_error: ErrorInfo | None = None
    output: Json | None = None
    spent: Spent = Spent()
    model: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """What the run's row keeps of a node: enough for the result. `last_seq` keeps a repeated record from being charged twice."""

    status: NodeStatus = "pending"
    attempts: int = 0
    last_seq: int = 0
    error: ErrorInfo | None = None
    spent: Spent = Spent()
    model: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    output: Json | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """The state of one run, folded from `{wf}.run` and every node's journal; `retired` once its nodes' rows were dropped."""

    run_id: str
    status: RunStatus = "running"
    epoch: int = 0
    source: Position | None = None
    input_hash: str | None = None
    plan_hash: str | None = None
    workflow_version: str | None = None
    nodes: Mapping[str, NodeOutcome] = field(default_factory=dict)
    started_at: int | None = None
    finished_at: int | None = None
    traceparent: str | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class TimerRow:
    """Something due later."""

    run_id: str
    node: str
    epoch: int
    seq: int
    kind: str
    due_at: int
    traceparent: str


@dataclass(frozen=True, slots=True)
class OwnerMarker:
    """Written by a worker that takes over a changelog partition: rows of a lower owner epoch after it do not count."""

    owner_epoch: int
    incarnation: str


RunRecord = Started | CancelRequested | Finished
Terminal = Succeeded | Failed | Skipped | Cancelled
NodeRecord = Terminal | AttemptFailed | AttemptDue
Row = NodeRow | RunRow | TimerRow
Record = RunRecord | NodeRecord | RetryScheduled | Row | OwnerMarker

TERMINAL = (Succeeded, Failed, Skipped, Cancelled)
STATUS_OF: Mapping[type, NodeStatus] = {
    Succeeded: "success",
    Failed: "failed",
    Skipped: "skipped",
    Cancelled: "cancelled",
}
TERMINAL_STATUSES = frozenset(STATUS_OF.values())
