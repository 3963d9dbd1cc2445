"""The workflow file as pydantic models: which keys there are, of which type, within which bounds. `python -m topology.spec` prints the JSON Schema."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from topology.plan import Executor, Format, Join, OnItemError, OnLowConfidence, OnRateLimit, OnTimeout, RunIdFrom

DAY_MS = 86_400_000
YEAR_MS = 366 * DAY_MS

WORKFLOW_ID = r"^[a-zA-Z0-9][a-zA-Z0-9-]*$"
NODE_ID = r"^[a-z][a-z0-9_]*$"

Text = Annotated[str, Field(min_length=1)]
NodeId = Annotated[str, Field(pattern=NODE_ID, max_length=64)]
Count = Annotated[int, Field(ge=1)]
Milliseconds = Annotated[int, Field(gt=0, le=YEAR_MS)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Strict(BaseModel):
    """Nothing is guessed: an unknown key, a number in quotes or a `true` for a 1 is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class BudgetSpec(Strict):
    """What a run (or a day) may spend; at least one limit."""

    max_tokens: Count | None = None
    """Prompt and answer tokens of all calls together."""
    max_cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """US dollars, by `prices` of the provider in the settings, else by list prices; a model whose price nobody knows is refused when the worker starts."""


class BatchSpec(Strict):
    """How many inputs a handler gets at once."""

    max_size: Annotated[int, Field(ge=1, le=10_000)]
    """Call the handler as soon as there are this many inputs."""
    max_wait_ms: Annotated[int, Field(ge=0, le=DAY_MS)]
    """Or as soon as the first of them has waited this long."""


class RuleSpec(Strict):
    """The route taken when a condition holds."""

    when: Text
    """CEL over `input` and the outputs of ancestors."""
    route: Text
    """One of `routes`."""


class ReviewSpec(Strict):
    """Who decides on an answer in doubt, and until when; a week unless told otherwise. An edit must fit the node's `output_schema`."""

    assignees: list[Text] = []
    """People or groups to ask; recorded and shown, not checked."""
    timeout_ms: Milliseconds = 7 * DAY_MS
    """How long they have."""
    on_timeout: OnTimeout = "reject"
    """What counts when nobody decided in time."""
    escalate_to: list[Text] = []
    """Who is asked next with `on_timeout: escalate`, for as long again."""


class BaseNode(Strict):
    """What every kind of node has."""

    id: NodeId
    """Names the node in topics, templates and conditions."""
    dependencies: list[str] = []
    """Nodes that must have ended before this one runs. What a template or condition names is waited for, too."""
    join: Join = "all_success"
    """How the dependencies must have ended for the node to run; else it is skipped."""
    when: Text | None = None
    """CEL over `input` and the outputs of ancestors: false skips the node."""
    max_retries: Annotated[int, Field(ge=0, le=100)] = 2
    """Attempts after the first one, per model."""
    backoff_ms: Annotated[int, Field(ge=0, le=DAY_MS)] = 1000
    """Wait before the first retry; each further one waits twice as long, plus jitter."""
    timeout_ms: Milliseconds = 60_000
    """Wall clock for one attempt."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Attempts of this node that a worker makes at the same time."""
    idempotency_key: Text | None = None
    """A text with `${CEL}` in it: the work is done once per key, over all runs."""
    for_each: Text | None = None
    """CEL that yields a list: the node's work is done once per item."""
    max_items: Count | None = None
    """The longest list that `for_each` takes; 1,000 unless told otherwise."""
    on_item_error: OnItemError | None = None
    """What a failed item does to the node: fail it (default), leave the item out, or keep its error in its place."""
    background: bool = False
    """The run's result does not wait for the node."""


class LlmNode(BaseNode):
    """A call of a model."""

    type: Literal["llm"]
    model: Text
    """The provider that lists it in `models` answers, else the default provider."""
    prompt_template: Text
    """A jinja file, relative to the workflow's; it sees `input` and the outputs of ancestors by node id."""
    output_schema: Text | None = None
    """A JSON Schema file: sent as strict structured output and checked on arrival. Without one the output is `{text}`."""
    fallback_models: list[Text] = []
    """Asked in this order when the model before has no attempt left, its breaker is open, (`on_low_confidence: fallback`) its answer is in doubt, or (`on_rate_limit: fallback`) its provider throttles."""
    min_confidence: Share | None = None
    """The least value of the answer's `confidence` to be believed."""
    on_low_confidence: OnLowConfidence | None = None
    """What to do below it: stop the run (default), ask the next of `fallback_models`, or ask a person."""
    on_rate_limit: OnRateLimit | None = None
    """What to do when the provider throttles (429) or its rate limit is reached: wait (default), or ask the next of `fallback_models` at once."""
    review: ReviewSpec | None = None
    """Whom to ask with `on_low_confidence: review`."""
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 1024
    """Sent with each call, and reserved in the budget."""
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    """Sent if given."""
    params: dict[str, Any] = {}
    """Further parameters of the chat request, sent as they are."""
    stream: bool = False
    """Publish the answer to `{workflow}.tokens` while it is said."""


class FunctionNode(BaseNode):
    """A handler in Python."""

    type: Literal["function"]
    handler: Text
    """`file.py`, `file.py:name` or `package.module:name`."""
    executor: Executor = "thread"
    """`process` for what computes for long."""
    batch: BatchSpec | None = None
    """Call the handler with the inputs of many runs at once."""


class RouterNode(BaseNode):
    """A choice between routes: by rules, else by a model, else the default."""

    type: Literal["router"]
    routes: list[Text] | dict[str, str]
    """Names, or names with what each is for, which the model is told."""
    rules: list[RuleSpec] = []
    """Tried in order before any model; the first that holds decides."""
    model: Text | None = None
    """Asked if no rule holds."""
    prompt_template: Text | None = None
    """As of an llm node; sees `routes`, too."""
    min_confidence: Share | None = None
    """Below it `default_route` is taken."""
    default_route: Text | None = None
    """Taken when no rule holds and no model is sure."""
    cache_ttl_s: Annotated[int, Field(gt=0, le=YEAR_MS // 1000)] | None = None
    """How long a model's decision serves again where prompt, model and routes are the same."""


class ReviewNode(BaseNode):
    """A decision of a person; a week to make it unless told otherwise."""

    type: Literal["review"]
    assignees: list[Text] = []
    """People or groups to ask; recorded and shown, not checked."""
    timeout_ms: Milliseconds = 7 * DAY_MS
    """How long they have."""
    on_timeout: OnTimeout = "reject"
    """What counts when nobody decided in time."""
    escalate_to: list[Text] = []
    """Who is asked next with `on_timeout: escalate`, for as long again."""
    form_schema: Text | None = None
    """A JSON Schema file of what a reviewer may edit; without one nothing."""


class ExternalNode(BaseNode):
    """Work for somebody else's stream app."""

    type: Literal["external"]


NodeSpec = Annotated[LlmNode | FunctionNode | RouterNode | ReviewNode | ExternalNode, Field(discriminator="type")]
KINDS: dict[str, type[BaseNode]] = {
    "llm": LlmNode,
    "function": FunctionNode,
    "router": RouterNode,
    "review": ReviewNode,
    "external": ExternalNode,
}


class ClaimCheckSpec(Strict):
    """Where values go that are too large for records, and from which size on."""

    store: Text
    """`file:///FOLDER` or `s3://BUCKET/PREFIX`; the setting `claim_check_stores` must allow it."""
    above_bytes: Annotated[int, Field(ge=1_024, le=1_000_000)] = 262_144
    """Inputs and outputs with more bytes of JSON than this are put there; if it is small enough, no record is larger than Kafka takes by default."""


class WorkflowSpec(Strict):
    """A workflow: its nodes, and what holds for all of them."""

    id: Annotated[str, Field(pattern=WORKFLOW_ID, max_length=128)]
    """Begins the names of its topics. Structure is fixed per id."""
    version: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._+-]*$", max_length=64)] = "0.0.0"
    """Shown in results; behaviour may change with it."""
    input_schema: Text | None = None
    """A JSON Schema file that every input is checked against."""
    budget: BudgetSpec | None = None
    """What one run may spend, all its epochs together."""
    daily_budget: BudgetSpec | None = None
    """What all runs of a UTC day may spend together; may be overshot by the calls that other workers have in flight."""
    deadline_ms: Milliseconds | None = None
    """From a run's start: what has not ended by then is cancelled."""
    state_retention_ms: Milliseconds = 7 * DAY_MS
    """How long the state of a finished run is kept for redrives and replays."""
    run_id_from: RunIdFrom = "auto"
    """What names a run: the record's key, its `ce_id` header, or its place in the topic; `auto` is the first of them that is there."""
    claim_check: ClaimCheckSpec | None = None
    """Keeps large inputs and outputs outside of Kafka."""
    input_format: Format = "json"
    """How inputs are written: JSON, or Avro by any schema that their producer registered; Avro needs a schema registry."""
    output_format: Format = "json"
    """How results are written: JSON, or Avro by a schema that follows from the sinks' `output_schema`; Avro needs a schema registry."""
    nodes: Annotated[list[NodeSpec], Field(min_length=1, max_length=1000)]
    """In any order."""


class WorkflowFile(Strict):
    """The whole file."""

    workflow: WorkflowSpec
    """The file's only key."""


def json_schema() -> str:
    """Return the JSON Schema of the workflow file, for editors and for whoever writes files by program."""
    schema = WorkflowFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
