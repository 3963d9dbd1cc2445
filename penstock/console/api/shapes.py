"""What the API answers: the one place where its shapes are said; `/openapi.json` is made of them.

Times are ISO 8601, costs US dollars, None where a price is not known. `Any` is JSON of users, as it came.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.records import NodeStatus, RunStatus

DeadLetterStatus = Literal["open", "redriven"]
Kind = Literal["llm", "function", "router", "review", "external"]


class Shape(BaseModel):
    """A JSON object of the API: nothing in it but what is said here."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Problem(BaseModel):
    """What went wrong (RFC 9457): `detail` says what to do about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    workflows: list[str] | None = Field(None, description="Workflows that have a run of that id, where it is not one.")


class Usage(Shape):
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Error(Shape):
    """Why something failed."""

    kind: str
    message: str


class NodeError(Error):
    """Why a run failed, and at which node."""

    node: str


class Unreadable(Shape):
    """A workflow of which something cannot be read, and why; without an id it is what all workflows share."""

    workflow_id: str | None
    reason: str


class Status(Shape):
    """How the read model stands: `behind` records are not folded yet; what is `unreadable` is left out."""

    ready: bool
    behind: int
    broker: Literal["ok", "unreachable"]
    error: str | None
    version: int
    unreadable: list[Unreadable]


class Session(Shape):
    """Whether this request came with a session or the token."""

    authenticated: bool
    public_read: bool


class RunCounts(Shape):
    """Runs by status."""

    total: int
    running: int
    success: int
    failed: int
    stopped: int
    cancelled: int


class Quantiles(Shape):
    """Milliseconds; None where no run has finished."""

    p50: int | None
    p95: int | None


class Workflow(Shape):
    """A workflow and how it goes. `today` is the UTC date; calls whose price is not known are counted beside what was spent."""

    id: str
    version: str | None
    partitions: int
    nodes: list[str]
    runs: RunCounts
    success_ratio: float | None
    duration_ms: Quantiles
    spend_today_usd: float
    unpriced_calls_today: int
    tokens_today: int
    dead_letters_open: int
    reviews_waiting: int
    last_started_at: str | None
    shadow_of: str | None
    unreadable: str | None


class DagNode(Shape):
    """A node of the graph; `counts` are runs by its status there."""

    id: str
    type: Kind | None
    model: str | None
    counts: dict[NodeStatus, int]


class DagEdge(Shape):
    """An edge of the graph."""

    from_: str = Field(alias="from")
    to: str
    kind: Literal["control", "data"] | None


class Dag(Shape):
    """The graph: as it was planned, or put together from what has run."""

    source: Literal["plan", "rows"]
    nodes: list[DagNode]
    edges: list[DagEdge]


class WorkflowDetail(Workflow):
    """A workflow with its graph."""

    dag: Dag
    input_schema: dict[str, Any] | None
    """What an input must be; null where nothing is asked for, or no version is recorded."""


class Workflows(Shape):
    """All workflows."""

    items: list[Workflow]


class RunSummary(Shape):
    """A run in a list."""

    run_id: str
    workflow_id: str
    workflow_version: str | None
    epoch: int
    status: RunStatus
    started_at: str | None
    finished_at: str | None
    duration_ms: int | None
    usage: Usage
    cost_usd: float | None
    nodes: dict[str, NodeStatus]
    error: NodeError | None


class Runs(Shape):
    """A page of runs, the newest first."""

    items: list[RunSummary]
    next_cursor: str | None


class Place(Shape):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class Ledger(Shape):
    """A run's budget: None is no limit."""

    max_tokens: int | None
    max_cost_usd: float | None
    spent_tokens: int
    spent_cost_usd: float
    reserved_tokens: int
    reserved_cost_usd: float


class Timer(Shape):
    """Something due later."""

    node: str
    kind: str
    due_at: str


class Call(Shape):
    """One attempt; `raw` is the model's answer as it came, `node` that of an item as `id[index]`."""

    node: str
    epoch: int
    attempt: int
    seq: int
    launch: int
    outcome: Literal["success", "failed", "lost", "deferred"]
    model: str | None
    started_at: str | None
    finished_at: str | None
    duration_ms: int | None
    first_token_ms: int | None
    usage: Usage
    cost_usd: float | None
    error: Error | None
    raw: str | None
    prompt_hash: str | None
    reused: bool


class Message(Shape):
    """A part of a prompt."""

    role: str
    content: str


class Prompt(Shape):
    """What a model was asked: rendered again from the plan and the recorded inputs; `verified` if its hash is the recorded one."""

    messages: list[Message] | None
    verified: bool
    note: str | None


class ReviewRef(Shape):
    """The review a node waits for."""

    hash: str
    due_at: str


class Node(Shape):
    """One node of a run; `inputs` is what it sees, by name, as far as that is recorded."""

    id: str
    type: Kind | None
    status: NodeStatus
    epoch: int
    attempts: int
    error: Error | None
    input_hash: str | None
    started_at: str | None
    finished_at: str | None
    usage: Usage
    cost_usd: float | None
    model: str | None
    idempotency_key: str | None
    output: Any
    inputs: dict[str, Any] | None
    review: ReviewRef | None
    calls: list[Call]
    prompt: Prompt | None


class Event(Shape):
    """Something that a journal says of the run: `detail` is the record's own words."""

    at: str
    node: str | None
    epoch: int
    type: str
    detail: dict[str, Any]


class RunDetail(RunSummary):
    """A run with all that is recorded of it."""

    input: Any
    outputs: dict[str, Any] | None
    input_hash: str | None
    plan_hash: str | None
    source: Place | None
    trace_id: str | None
    ledger: Ledger | None
    timers: list[Timer]
    dag: Dag
    node_details: list[Node]
    history: list[Event]


class Letter(Shape):
    """A dead letter; `place` is its partition and offset."""

    workflow_id: str
    place: str
    run_id: str | None
    node: str | None
    epoch: int | None
    kind: str
    message: str
    attempt: int | None
    at: str
    status: DeadLetterStatus
    redrivable: bool
    is_input: bool


class Letters(Shape):
    """A page of dead letters, the newest first."""

    items: list[Letter]
    next_cursor: str | None


class LetterGroup(Shape):
    """Dead letters of one cause; `message` is the newest one's."""

    workflow_id: str
    node: str | None
    kind: str
    message: str
    count: int
    open: int
    first_at: str
    last_at: str


class LetterGroups(Shape):
    """Dead letters by cause, those with the most open ones first."""

    items: list[LetterGroup]


class LetterDetail(Letter):
    """A dead letter with what it holds and what led to it; `sees` are the names an edit may have."""

    key: str | None
    value: Any
    headers: dict[str, str]
    traceback: str | None
    attempts: list[dict[str, Any]]
    raw: str | None
    redrives: list[dict[str, Any]]
    sees: list[str]


class MadeBy(Shape):
    """Where a part of what is shown comes from."""

    model: str | None
    prompt_hash: str | None
    response_hash: str | None


class Review(Shape):
    """What a person is asked; `hash` binds a decision to what was shown."""

    run_id: str
    workflow_id: str
    node: str
    epoch: int
    reason: str
    assignees: list[str]
    requested_at: str
    due_at: str
    hash: str
    escalation: int
    made_by: dict[str, MadeBy]
    shown: Any
    form_schema: Any = None


class Reviews(Shape):
    """What waits, the one due first at the top."""

    items: list[Review]


class Replay(Shape):
    """A replay and how far it is: `ended` are its runs by status."""

    workflow_id: str
    replay_id: str
    began_at: str | None
    requested_by: str | None
    node: str | None
    reuse: bool
    runs: int
    opened: int
    ended: dict[RunStatus, int]
    refused: int


class Replays(Shape):
    """Replays, the newest first."""

    items: list[Replay]


class BeforeAfter(Shape):
    """A sum over the runs that both versions ran."""

    before: float | None
    after: float | None
    ratio: float | None


class ShadowSummary(Shape):
    """What a shadow came to so far."""

    runs: int
    changed: int
    equal: int
    failed: int
    reused: int
    tokens: BeforeAfter
    cost_usd: BeforeAfter
    duration_ms: BeforeAfter


class Shadow(Shape):
    """Another version beside production."""

    workflow_id: str
    shadow_id: str
    summary: ShadowSummary


class Shadows(Shape):
    """Shadows whose topics are there."""

    items: list[Shadow]


class ShadowDetail(Shadow):
    """A shadow with a line per run, as `replay --shadow` prints it."""

    lines: list[dict[str, Any]]


class PublishedRun(Shape):
    """A run to be: where its input stands."""

    run_id: str
    workflow_id: str
    topic: str
    partition: int
    offset: int


class Cancelling(Shape):
    """A cancel that was published."""

    run_id: str
    workflow_id: str
    status: Literal["cancelling"]


class RedriveOutcome(BaseModel):
    """What became of one dead letter."""

    run_id: str | None
    node: str | None
    epoch: int | None
    status: Literal["redriven", "published", "sent", "refused", "unanswered", "already redriven", "not redrivable"]
    reason: str | None = None
    new_epoch: int | None = None
    reopened: list[str] | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


class RedriveOutcomes(Shape):
    """What became of each letter that was meant."""

    items: list[RedriveOutcome]


class DecisionOutcome(Shape):
    """What became of a decision."""

    run_id: str
    workflow_id: str
    node: str
    status: Literal["approved", "rejected", "unanswered"]
    epoch: int | None = None
    hash: str | None = None
