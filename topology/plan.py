"""The compiled workflow: frozen data that says what runs, read by the engine, by `describe` and by the test driver alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

NodeKind = Literal["llm", "function", "router", "review", "external"]
Join = Literal["all_success", "any_success", "all_done"]
OnLowConfidence = Literal["stop", "fallback", "review"]
OnRateLimit = Literal["wait", "fallback"]
Executor = Literal["thread", "process"]
RunIdFrom = Literal["auto", "key", "ce_id", "offset"]
Format = Literal["json", "avro"]
TopicPurpose = Literal[
    "input", "control", "run", "journal", "retry", "dead-letter", "output", "tokens", "requests", "routes", "effects"
]

Cleanup = Literal["delete", "compact", "compact,delete"]

INPUT = "input"
"""What a node calls the run's input, beside the ids of its ancestors."""

DEFAULT_PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_retries: 2` is at most 3 attempts; the first retry waits `backoff_ms`, the next twice that, and so on."""

    max_retries: int
    backoff_ms: int


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent: tokens, US dollars; None: as many as it takes."""

    max_tokens: int | None
    max_cost_usd: float | None


@dataclass(frozen=True, slots=True)
class LlmPlan:
    """What an llm node asks of its models, in order of preference. `output_schema` is self-contained (every `$ref` is within it).

    An answer whose `confidence` is below `min_confidence` is not used: `on_low_confidence` says what follows.
    `on_rate_limit` says what follows when the model may not be asked now: wait for it, or go on with the next one.
    """

    models: tuple[str, ...]
    prompt: str
    prompt_path: str
    output_schema: dict[str, Any] | None
    max_output_tokens: int
    temperature: float | None
    params: dict[str, Any]
    min_confidence: float | None = None
    on_low_confidence: OnLowConfidence = "stop"
    on_rate_limit: OnRateLimit = "wait"


@dataclass(frozen=True, slots=True)
class FunctionPlan:
    """Where a handler is: `path` is an absolute file, or None when `module` is importable; `name` is the function.

    `reference` is what the workflow file says, so it means the same on every machine.
    """

    path: str | None
    module: str | None
    name: str
    reference: str = ""
    executor: Executor = "thread"


@dataclass(frozen=True, slots=True)
class Rule:
    """The route taken when a condition (CEL) holds."""

    when: str
    route: str


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """How a router decides: the first rule that holds, else its model (the node's `llm`), else `default_route`.

    `routes` maps names to descriptions for the prompt ("" for none); an answer below `min_confidence` is not used.
    """

    rules: tuple[Rule, ...]
    routes: dict[str, str]
    default_route: str | None
    min_confidence: float | None


OnTimeout = Literal["reject", "approve", "escalate"]


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """What a person is asked: who first, who after `timeout_ms`, and what an edit must look like (None: no edit)."""

    assignees: tuple[str, ...]
    on_timeout: OnTimeout
    escalate_to: tuple[str, ...]
    timeout_ms: int
    form_schema: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How many inputs a handler gets at once, and how long the first of them waits for others."""

    max_size: int
    max_wait_ms: int


OnItemError = Literal["fail", "drop", "keep_error"]


@dataclass(frozen=True, slots=True)
class ForEachPlan:
    """The list (CEL) whose items the node works on one by one, in the rows of `table`."""

    items: str
    max_items: int
    on_item_error: OnItemError
    table: str


@dataclass(frozen=True, slots=True)
class LeasePlan:
    """Work that is done once per key: where keys meet (`topic`), what is known of them (`table`), how long it holds (None: for good)."""

    topic: str
    table: str
    ttl_ms: int | None


@lru_cache(10_000)
def _sources(dependencies: tuple[str, ...], reads: tuple[str, ...]) -> tuple[str, ...]:
    """Return both without repeats; asked for at every record."""
    return dependencies + tuple(read for read in reads if read not in dependencies)


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its edges, its policy, its names.

    `dependencies` are control edges (they decide whether it runs), `reads` data edges (the ancestors whose outputs it
    sees), both in topological order; `reads_input` says whether it sees the run's input.
    """

    id: str
    kind: NodeKind
    dependencies: tuple[str, ...]
    reads: tuple[str, ...]
    reads_input: bool
    join: Join
    when: str | None
    idempotency_key: str | None
    retry: RetryPolicy
    timeout_ms: int
    concurrency: int
    topic: str
    table: str
    llm: LlmPlan | None = None
    function: FunctionPlan | None = None
    router: RouterPlan | None = None
    review: ReviewPlan | None = None
    batch: BatchPlan | None = None
    for_each: ForEachPlan | None = None
    lease: LeasePlan | None = None
    requests_topic: str | None = None
    stream: bool = False
    background: bool = False

    @property
    def executes(self) -> bool:
        """Say whether its attempts run on the worker's executor: others are answered by people, other apps, or a rule."""
        return self.kind in ("llm", "function") or self.llm is not None

    @property
    def sources(self) -> tuple[str, ...]:
        """The nodes whose journals it consumes besides its own and the run's."""
        return _sources(self.dependencies, self.reads)


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as `worker` creates it; `retention_ms` -1 is for ever; `partitioned` ones have the workflow's partition count for good."""

    name: str
    purpose: TopicPurpose
    cleanup: Cleanup
    retention_ms: int


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table and the compacted changelog topic behind it."""

    name: str
    changelog: str


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """Values of more than `above_bytes` are in `store`; records carry claims."""

    store: str
    above_bytes: int


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """A workflow, ready to run: nodes in topological order, every topic and table it owns, and the hash of it all."""

    id: str
    version: str
    partitions: int
    input_schema: dict[str, Any] | None
    run_id_from: RunIdFrom
    state_retention_ms: int
    nodes: tuple[NodePlan, ...]
    sinks: tuple[str, ...]
    topics: tuple[TopicPlan, ...]
    tables: tuple[TablePlan, ...]
    plan_hash: str
    budget: Budget | None = None
    daily_budget: Budget | None = None
    deadline_ms: int | None = None
    claim_check: ClaimCheck | None = None
    input_format: Format = "json"
    output_format: Format = "json"

    @property
    def foreground(self) -> tuple[NodePlan, ...]:
        """The nodes that a run's result waits for."""
        return tuple(node for node in self.nodes if not node.background)

    @property
    def has_ledger(self) -> bool:
        """Say whether calls are reserved before they are made."""
        return self.budget is not None or self.daily_budget is not None

    @property
    def needs_registry(self) -> bool:
        """Say whether inputs or results are in Avro, whose schemas are in a registry."""
        return "avro" in (self.input_format, self.output_format)

    def node(self, node_id: str) -> NodePlan:
        """Return the node called `node_id`; KeyError if there is none."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def topic(self, purpose: TopicPurpose) -> str:
        """Return the name of the workflow's one topic of that purpose; KeyError if there is none."""
        for topic in self.topics:
            if topic.purpose == purpose:
                return topic.name
        raise KeyError(purpose)
