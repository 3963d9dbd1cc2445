"""The records of the journals and the rows of the tables, as frozen dataclasses: facts are past tense, times are epoch milliseconds.

`Json` fields hold JSON text as it came: nobody on the way parses what it only passes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

from schemas.quick import quick

Json = NewType("Json", str)
"""JSON text."""

NodeStatus = Literal["pending", "running", "waiting", "success", "failed", "skipped", "cancelled"]
RunStatus = Literal["running", "success", "failed", "stopped", "cancelled"]
LeaseStatus = Literal["asked", "held"]


@quick
@dataclass(frozen=True, slots=True)
class Position:
    """Where a record of a public topic stood: tells a repeat of the same record from another one."""

    topic: str
    partition: int
    offset: int


@quick
@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why an attempt failed: text without secrets."""

    kind: str
    message: str
    retryable: bool
    retry_after_ms: int | None = None
    traceback: str | None = None


@quick
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


@quick
@dataclass(frozen=True, slots=True)
class Started:
    """A run began: the first one of a run id counts, for every reader. Nodes `reused` have an end copied from another run: none is launched."""

    run_id: str
    input: Json
    input_hash: str
    plan_hash: str
    workflow_version: str
    started_at: int
    source: Position
    source_key: bytes | None
    traceparent: str
    reused: tuple[str, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody asked for the run's end; the run agent answers with `Cancelled` in every node's journal."""

    run_id: str
    requested_at: int
    source: Position


@quick
@dataclass(frozen=True, slots=True)
class RedriveRequested:
    """Somebody asked for a failed node to be run again. `epoch` is the one that failed, None: the last one opened before this.

    With `replay`, the id of what it is a part of, whatever stands is run again from `node` on, or all of it (`whole`); with
    `reuse` a model is not asked again what it has answered.
    """

    run_id: str
    node: str
    epoch: int | None
    edit: Json | None
    requested_by: str | None
    requested_at: int
    source: Position
    replay: str | None = None
    whole: bool = False
    reuse: bool = False


@quick
@dataclass(frozen=True, slots=True)
class EpochOpened:
    """Nodes `reopen` run anew: `node` with `edit` (a JSON merge patch of what it sees), the others with its part for the input.

    `replay` is the id of the replay that asked for it; with `reuse` a model is not asked again what it has answered.
    """

    run_id: str
    epoch: int
    previous: int
    node: str
    reopen: tuple[str, ...]
    edit: Json | None
    plan_hash: str
    workflow_version: str
    requested_by: str | None
    requested_at: int
    opened_at: int
    source: Position
    replay: str | None = None
    reuse: bool = False


@quick
@dataclass(frozen=True, slots=True)
class Finished:
    """The epoch's result was written."""

    run_id: str
    epoch: int
    status: RunStatus
    finished_at: int


# ---- {wf}.{node} ----------------------------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class Succeeded:
    """Terminal: the node's output.

    `request_hash` is of what a model was asked, and which; a `reused` output is the answer of an earlier epoch to the same.
    """

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
    launch: int = 0
    metered: bool = True
    raw: str | None = None
    prompt_hash: str | None = None
    first_token_ms: int | None = None
    request_hash: str | None = None
    reused: bool = False


@quick
@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt ended without an output that may be used; the node's agent decides what follows.

    `output` is an answer in doubt, where a person is to decide on it.
    """

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
    launch: int = 0
    metered: bool = True
    prompt_hash: str | None = None
    output: Json | None = None


@quick
@dataclass(frozen=True, slots=True)
class AttemptDeferred:
    """No call was made, or none that counts: the provider is not to be called now. The attempt is made again at `due_at`."""

    run_id: str
    node: str
    epoch: int
    seq: int
    attempt: int
    launch: int
    reason: str
    message: str
    model: str | None
    due_at: int
    deferred_at: int


@quick
@dataclass(frozen=True, slots=True)
class CallLost:
    """Launch `launch` of attempt `seq` will not be heard of, or not be waited for: what it may have used is charged."""

    run_id: str
    node: str
    epoch: int
    seq: int
    launch: int
    charged: Spent
    lost_at: int


@quick
@dataclass(frozen=True, slots=True)
class ModelSwitched:
    """The node goes on with another model from attempt `seq` on, and why."""

    run_id: str
    node: str
    epoch: int
    seq: int
    from_model: str
    to_model: str
    reason: str
    switched_at: int


@quick
@dataclass(frozen=True, slots=True)
class Refused:
    """A command that was not carried out, and why; `replay` is the id of the replay it was a part of."""

    run_id: str
    node: str
    epoch: int
    command: str
    reason: str
    requested_by: str | None
    refused_at: int
    source: Position
    replay: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class AttemptDue:
    """The wait after attempt `seq` is over."""

    run_id: str
    node: str
    epoch: int
    seq: int
    due_at: int


@quick
@dataclass(frozen=True, slots=True)
class Failed:
    """Terminal: no further attempt will be made. `attempt` is the number of attempts made, 0 if none could be.

    `spent` is what the items of a `for_each` node used; what a node's own attempts used stands in their records.
    """

    run_id: str
    node: str
    epoch: int
    seq: int
    attempt: int
    error: ErrorInfo
    finished_at: int
    spent: Spent | None = None


@quick
@dataclass(frozen=True, slots=True)
class Skipped:
    """Terminal: the node was not to run, and why. `stopped`: a node above it stopped the run, so nothing below it runs either."""

    run_id: str
    node: str
    epoch: int
    seq: int
    reason: str
    finished_at: int
    stopped: bool = False


@quick
@dataclass(frozen=True, slots=True)
class Cancelled:
    """Terminal: the run was cancelled before the node ended; `reason` says by what, None where somebody asked for it."""

    run_id: str
    node: str
    epoch: int
    seq: int
    finished_at: int
    reason: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class TimedOut:
    """What the node waited for did not come in time: `kind` is "review" or "answer" (of an external node)."""

    run_id: str
    node: str
    epoch: int
    seq: int
    kind: str
    due_at: int


@quick
@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an output comes from: the model and the SHA-256 of what it was sent and of its raw answer; None where there was no model."""

    model: str | None = None
    prompt_hash: str | None = None
    response_hash: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class ReviewRequested:
    """A person is to decide on what is `shown`, until `due_at`. `hash` is the SHA-256 of run, node, epoch and what is shown.

    `made_by` says where the parts of it come from, `reason` why it is asked. `escalation` counts the lists asked before this
    one. `previous` is the hash of the chain's record before this one, "" for the first.
    """

    run_id: str
    node: str
    epoch: int
    seq: int
    shown: Json
    hash: str
    assignees: tuple[str, ...]
    reason: str
    requested_at: int
    due_at: int
    made_by: Mapping[str, Provenance]
    escalation: int
    previous: str


@quick
@dataclass(frozen=True, slots=True)
class ReviewSubmitted:
    """Somebody decided; whether it counts, the node's agent says. Without `epoch` (-1) and `hash` the current ones are meant."""

    run_id: str
    node: str
    epoch: int
    hash: str | None
    decision: str
    reviewer: str | None
    comment: str | None
    edit: Json | None
    submitted_at: int
    source: Position


@quick
@dataclass(frozen=True, slots=True)
class Decided:
    """The decision that counts on what `hash` names. `source` is where it came from, None where the time ran out.

    `submitted` is the hash of the `ReviewSubmitted`, so that its bytes are part of the chain, too.
    """

    run_id: str
    node: str
    epoch: int
    seq: int
    decision: str
    reviewer: str | None
    comment: str | None
    edit: Json | None
    hash: str
    decided_at: int
    source: Position | None
    previous: str
    submitted: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class ResultReceived:
    """An external app's answer to attempt `attempt` of `epoch`: an output or an error; whether it counts, the node's agent says."""

    run_id: str
    node: str
    epoch: int
    attempt: int
    output: Json | None
    error: ErrorInfo | None
    received_at: int
    source: Position


@quick
@dataclass(frozen=True, slots=True)
class ItemStarted:
    """One item of a `for_each` node is to be worked on; `node` is `id[index]`."""

    run_id: str
    node: str
    epoch: int
    seq: int
    item: Json
    started_at: int


@quick
@dataclass(frozen=True, slots=True)
class LeaseGranted:
    """The node may do the work that its `key` stands for: nobody else does it meanwhile."""

    run_id: str
    node: str
    epoch: int
    key: str
    granted_at: int


# ---- {wf}.{node}.effects and .routes: keyed by what is done once --------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class LeaseRequested:
    """A node wants what `key` stands for: the output if it was made already, else to make it, else to wait."""

    key: str
    run_id: str
    node: str
    epoch: int
    requested_at: int
    traceparent: str


@quick
@dataclass(frozen=True, slots=True)
class LeaseReturned:
    """The holder is done: with an `output` for all, an `error` for all that wait, or with neither, for the next one to try."""

    key: str
    run_id: str
    node: str
    epoch: int
    output: Json | None
    error: ErrorInfo | None
    returned_at: int


# ---- {wf}.retry -----------------------------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """Attempt `seq` failed and the next one is due at `due_at`; or, by `kind`, what attempt `seq` waits for must have come by then."""

    run_id: str
    node: str
    epoch: int
    seq: int
    due_at: int
    traceparent: str
    kind: str = "retry"


# ---- rows -----------------------------------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class Gathered:
    """What a node knows of one source: how it ended and, if the node reads it, its output.

    `in_source`: the output is left out of this row, it stands in the source's own (the input: in that of the first node).
    """

    status: NodeStatus
    output: Json | None = None
    stopped: bool = False
    made_by: Provenance | None = None
    in_source: bool = False


@quick
@dataclass(frozen=True, slots=True)
class ReviewState:
    """The review a node waits for. `requested_at` is the offset of its `ReviewRequested`, None until that was read back.

    `chain` is the hash of the chain's last record, `decided_by` the place of the decision that counts.
    """

    seq: int
    hash: str
    shown: Json
    due_at: int
    chain: str
    escalation: int = 0
    requested_at: int | None = None
    decided_by: Position | None = None


@quick
@dataclass(frozen=True, slots=True)
class Recorded:
    """A model's answer in an earlier epoch, and the hash of what it was asked."""

    request_hash: str
    output: Json
    model: str | None
    prompt_hash: str | None


@quick
@dataclass(frozen=True, slots=True)
class NodeRow:
    """The state of one node of one run. `seq` never restarts within an epoch; `incarnation` is the owner of a running attempt.

    `launch` counts the launches of `seq`, `deferrals` how often it was put off. `choice` is the model in use (0: the first), `tries_before` the attempts made with
    those before it. `epochs` has the epoch of each source that was reopened, `opened` the last one opened, `ahead` records
    that came before the opening they belong to, encoded. `edits` are merge patches of what the node sees, in order; `last_raw` is
    the beginning of the model's last answer that could not be used. `items` is how many items a `for_each` node works on, `item` what one
    of their rows is for; `review` what a person is asked; `lease` how the node stands with the key of its work; `answered_by`
    where the answer of an external app to the attempt stood. `request_hash` and `prompt_hash` are of what the answer in `output` was
    asked for; `recorded` are answers of earlier epochs, the last first, that with
    `reuse` may serve again. A `kept` node waits for an end that is copied from another run.
    """

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
    launch: int = 0
    choice: int = 0
    tries_before: int = 0
    deferrals: int = 0
    epochs: Mapping[str, int] = field(default_factory=dict)
    opened: int = 0
    ahead: tuple[bytes, ...] = ()
    edits: tuple[Json, ...] = ()
    deadline_at: int | None = None
    last_raw: str | None = None
    items: int | None = None
    item: Json | None = None
    review: ReviewState | None = None
    lease: LeaseStatus | None = None
    answered_by: Position | None = None
    request_hash: str | None = None
    prompt_hash: str | None = None
    recorded: tuple[Recorded, ...] = ()
    reuse: bool = False
    kept: bool = False
    plan_hash: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """What the run's row keeps of a node: enough for the result. `last_seq` keeps a repeated record from being charged twice.

    `epoch` is the one it last ran in; `spent` is of all epochs; `chain` is the head of the hash chain of its reviews; `reused`: its
    output is a model's answer in an earlier epoch.
    """

    status: NodeStatus = "pending"
    attempts: int = 0
    last_seq: int = 0
    error: ErrorInfo | None = None
    spent: Spent = Spent()
    model: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    output: Json | None = None
    epoch: int = 0
    chain: str | None = None
    reused: bool = False


@quick
@dataclass(frozen=True, slots=True)
class QueuedRedrive:
    """A `RedriveRequested` that waits for the end of the running epoch. `meant` is the epoch it names, `opens` the one it would open."""

    request: RedriveRequested
    meant: int
    opens: int


@quick
@dataclass(frozen=True, slots=True)
class RunRow:
    """The state of one run, folded from `{wf}.run` and every node's journal; `retired` once its nodes' rows were dropped.

    `redrives` wait for the epoch's end, encoded with the epoch each may open; `opening` is one that was sent and not read back.
    `seen` is the offset in `{wf}.run` up to which starts and redrives are known to the row: a crash has them read again.
    `epochs_from` is added to an offset there to get the epoch it opens: the run was moved to other partitions, and offsets began anew.
    `reused` are the nodes whose ends were copied from another run.
    """

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
    redrives: tuple[QueuedRedrive, ...] = ()
    opening: int | None = None
    ahead: tuple[bytes, ...] = ()
    epoch_started_at: int | None = None
    opened_by: Position | None = None
    seen: int | None = None
    epochs_from: int = 0
    reused: tuple[str, ...] = ()


@quick
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


@quick
@dataclass(frozen=True, slots=True)
class Holder:
    """Who asked for a key's work: a node of a run in an epoch."""

    run_id: str
    node: str
    epoch: int
    traceparent: str


@quick
@dataclass(frozen=True, slots=True)
class LeaseRow:
    """What is known of a key: who does its work now, or what came of it and until when that holds.

    Those who wait stand in rows of their own, by number, for numbers from `first` to before `next`: one row would grow.
    """

    key: str
    holder: Holder | None = None
    output: Json | None = None
    made_at: int | None = None
    expires_at: int | None = None
    first: int = 0
    next: int = 0


@quick
@dataclass(frozen=True, slots=True)
class WaiterRow:
    """One who waits for a key's work."""

    key: str
    number: int
    waiter: Holder


@quick
@dataclass(frozen=True, slots=True)
class Reservation:
    """What one launch may use at most: tokens, US dollars; `day` is the UTC date it is charged to."""

    tokens: int
    cost_usd: float
    day: str


@quick
@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What a run has used and what its calls in flight may use, by `node/epoch/seq/launch`."""

    run_id: str
    max_tokens: int | None
    max_cost_usd: float | None
    spent_tokens: int = 0
    spent_cost_usd: float = 0.0
    reserved: Mapping[str, Reservation] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class DayRow:
    """What the runs of one partition have used on a day (a UTC date), and what their calls in flight may use."""

    day: str
    spent_tokens: int = 0
    spent_cost_usd: float = 0.0
    reserved_tokens: int = 0
    reserved_cost_usd: float = 0.0


@quick
@dataclass(frozen=True, slots=True)
class OwnerMarker:
    """Written by a worker that takes over a changelog partition: rows of a lower owner epoch after it do not count."""

    owner_epoch: int
    incarnation: str


RunRecord = Started | CancelRequested | RedriveRequested | EpochOpened | Finished | Refused
Terminal = Succeeded | Failed | Skipped | Cancelled
ReviewRecord = ReviewRequested | ReviewSubmitted | Decided
NodeRecord = (
    Terminal
    | AttemptFailed
    | AttemptDeferred
    | AttemptDue
    | CallLost
    | ModelSwitched
    | Refused
    | TimedOut
    | ReviewRecord
    | ResultReceived
    | ItemStarted
    | LeaseGranted
)
LeaseRecord = LeaseRequested | LeaseReturned
Row = NodeRow | RunRow | TimerRow | LedgerRow | DayRow | LeaseRow | WaiterRow
Record = RunRecord | NodeRecord | LeaseRecord | RetryScheduled | Row | OwnerMarker

TERMINAL = (Succeeded, Failed, Skipped, Cancelled)
STATUS_OF: Mapping[type, NodeStatus] = {
    Succeeded: "success",
    Failed: "failed",
    Skipped: "skipped",
    Cancelled: "cancelled",
}
TERMINAL_STATUSES = frozenset(STATUS_OF.values())
