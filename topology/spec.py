"""The workflow file as pydantic models: which keys there are, of which type, within which bounds. `python -m topology.spec` prints the JSON Schema."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from topology.plan import Executor, Join, OnItemError, OnLowConfidence, OnTimeout, RunIdFrom

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

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BudgetSpec(Strict):
    """What a run (or a day) may spend; at least one limit."""

    max_tokens: Count | None = None
    max_cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class BatchSpec(Strict):
    """How many inputs a handler gets at once."""

    max_size: Annotated[int, Field(ge=1, le=10_000)]
    max_wait_ms: Annotated[int, Field(ge=0, le=DAY_MS)]


class RuleSpec(Strict):
    """The route taken when a condition holds."""

    when: Text
    route: Text


class ReviewSpec(Strict):
    """Who decides on an answer in doubt, and until when; a week unless told otherwise. An edit must fit the node's `output_schema`."""

    assignees: list[Text] = []
    timeout_ms: Milliseconds = 7 * DAY_MS
    on_timeout: OnTimeout = "reject"
    escalate_to: list[Text] = []


class BaseNode(Strict):
    """What every kind of node has."""

    id: NodeId
    dependencies: list[str] = []
    join: Join = "all_success"
    when: Text | None = None
    max_retries: Annotated[int, Field(ge=0, le=100)] = 2
    backoff_ms: Annotated[int, Field(ge=0, le=DAY_MS)] = 1000
    timeout_ms: Milliseconds = 60_000
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    idempotency_key: Text | None = None
    for_each: Text | None = None
    max_items: Count | None = None
    on_item_error: OnItemError | None = None
    background: bool = False


class LlmNode(BaseNode):
    """A call of a model."""

    type: Literal["llm"]
    model: Text
    prompt_template: Text
    output_schema: Text | None = None
    fallback_models: list[Text] = []
    min_confidence: Share | None = None
    on_low_confidence: OnLowConfidence | None = None
    review: ReviewSpec | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 1024
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    params: dict[str, Any] = {}
    stream: bool = False


class FunctionNode(BaseNode):
    """A handler in Python."""

    type: Literal["function"]
    handler: Text
    executor: Executor = "thread"
    batch: BatchSpec | None = None


class RouterNode(BaseNode):
    """A choice between routes: by rules, else by a model, else the default."""

    type: Literal["router"]
    routes: list[Text] | dict[str, str]
    rules: list[RuleSpec] = []
    model: Text | None = None
    prompt_template: Text | None = None
    min_confidence: Share | None = None
    default_route: Text | None = None
    cache_ttl_s: Annotated[int, Field(gt=0, le=YEAR_MS // 1000)] | None = None


class ReviewNode(BaseNode):
    """A decision of a person; a week to make it unless told otherwise."""

    type: Literal["review"]
    assignees: list[Text] = []
    timeout_ms: Milliseconds = 7 * DAY_MS
    on_timeout: OnTimeout = "reject"
    escalate_to: list[Text] = []
    form_schema: Text | None = None


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


class WorkflowSpec(Strict):
    """A workflow: its nodes, and what holds for all of them."""

    id: Annotated[str, Field(pattern=WORKFLOW_ID, max_length=128)]
    version: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._+-]*$", max_length=64)] = "0.0.0"
    input_schema: Text | None = None
    budget: BudgetSpec | None = None
    daily_budget: BudgetSpec | None = None
    deadline_ms: Milliseconds | None = None
    state_retention_ms: Milliseconds = 7 * DAY_MS
    run_id_from: RunIdFrom = "auto"
    nodes: Annotated[list[NodeSpec], Field(min_length=1, max_length=1000)]


class WorkflowFile(Strict):
    """The whole file."""

    workflow: WorkflowSpec


def json_schema() -> str:
    """Return the JSON Schema of the workflow file, for editors and for whoever writes files by program."""
    schema = WorkflowFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
