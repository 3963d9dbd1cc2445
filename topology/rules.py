"""What keys of one node (or of the workflow) demand of each other; types and bounds are in spec.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from topology.claim_stores import problem_of
from topology.parse import NODES, Finding
from topology.spec import BaseNode, BudgetSpec, FunctionNode, LlmNode, ReviewNode, ReviewSpec, RouterNode, WorkflowSpec
from topology.yaml_tree import DocPath

PARAMS_OF_ITS_OWN = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "response_format",
        "stream",
        "stream_options",
        "temperature",
    }
)
"""Penstock sends these itself."""


def check_workflow(workflow: WorkflowSpec) -> Iterator[Finding]:
    """Find what is wrong between the workflow's own keys."""
    problem = None if workflow.claim_check is None else problem_of(workflow.claim_check.store)
    if problem is not None:
        yield Finding(("workflow", "claim_check", "store"), f"workflow: claim_check.store: {problem}", "value")
    for key in ("budget", "daily_budget"):
        budget = getattr(workflow, key)
        if budget is not None and budget.max_tokens is None and budget.max_cost_usd is None:
            yield Finding(("workflow", key), f"workflow: {key} needs max_tokens or max_cost_usd", "key")
        yield from _never_fitting(workflow, key, budget)


def _never_fitting(workflow: WorkflowSpec, key: str, budget: BudgetSpec | None) -> Iterator[Finding]:
    """Find nodes that no run can afford: a call is reserved with its prompt and all the tokens it may answer with."""
    if budget is None or budget.max_tokens is None:
        return
    for index, node in enumerate(workflow.nodes):
        if isinstance(node, LlmNode) and node.max_output_tokens >= budget.max_tokens:
            said = f"max_output_tokens {node.max_output_tokens} and a prompt do not fit {key}.max_tokens {budget.max_tokens}"
            at: DocPath = (*NODES, index, "max_output_tokens" if "max_output_tokens" in node.model_fields_set else "id")
            yield Finding(at, f"node {node.id!r}: {said}: no call of it could ever be made", "key")


def check_node(index: int, node: BaseNode) -> Iterator[Finding]:
    """Find what is wrong between the keys of a node."""
    for key, message in _complaints(node):
        path: DocPath = (*NODES, index, *key)
        yield Finding(path, f"node {node.id!r}: {message}", "key" if len(key) == 1 else "value")


Complaint = tuple[tuple[str | int, ...], str]


def _complaints(node: BaseNode) -> Iterator[Complaint]:
    yield from _unspecified(node)
    if node.for_each is None:
        for key in ("max_items", "on_item_error"):
            if getattr(node, key) is not None:
                yield (key,), f"{key} is for nodes with for_each"
    match node:
        case LlmNode():
            yield from _llm(node)
        case RouterNode():
            yield from _router(node)
        case ReviewNode():
            yield from _review(node)


def _unspecified(node: BaseNode) -> Iterator[Complaint]:
    """Refuse the combinations nobody has said the meaning of (PROTOCOL.md rule 18)."""
    batch = isinstance(node, FunctionNode) and node.batch is not None
    review = isinstance(node, ReviewNode)
    if batch and node.for_each is not None:
        yield ("batch",), "batch and for_each do not go together yet"
    if isinstance(node, FunctionNode) and node.batch is not None and node.executor == "process":
        yield ("executor",), "batch and executor: process do not go together yet"
    if node.idempotency_key is not None and (batch or review):
        yield ("idempotency_key",), f"idempotency_key is not for {'review' if review else 'batch'} nodes yet"
    if node.for_each is not None and (review or isinstance(node, RouterNode)):
        yield ("for_each",), f"for_each is not for {'review' if review else 'router'} nodes yet"
    if node.for_each is not None and isinstance(node, LlmNode) and node.on_low_confidence == "review":
        yield ("for_each",), "for_each does not go together with on_low_confidence: review yet"
    if isinstance(node, RouterNode) and node.idempotency_key is not None:
        yield ("idempotency_key",), "idempotency_key is not for router nodes: cache_ttl_s reuses decisions"


def _llm(node: LlmNode) -> Iterator[Complaint]:
    if node.on_low_confidence is not None and node.min_confidence is None:
        yield ("on_low_confidence",), "on_low_confidence needs min_confidence"
    if node.on_low_confidence == "fallback" and not node.fallback_models:
        yield ("on_low_confidence",), "on_low_confidence: fallback needs fallback_models"
    if node.on_rate_limit == "fallback" and not node.fallback_models:
        yield ("on_rate_limit",), "on_rate_limit: fallback needs fallback_models"
    if node.review is not None:
        if node.on_low_confidence != "review":
            yield ("review",), "review needs on_low_confidence: review"
        for (key, *rest), message in _review(node.review):
            yield ("review", key, *rest), message
    if node.model in node.fallback_models:
        yield (
            ("fallback_models", node.fallback_models.index(node.model)),
            f"fallback model {node.model!r} is the model itself",
        )
    yield from _repeated("fallback_models", node.fallback_models)
    for key in sorted(PARAMS_OF_ITS_OWN & set(node.params)):
        yield ("params", key), f"params must not set {key!r}: penstock sends it itself"
    for key, value in node.params.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield ("params", key), f"params: {key!r} has more than 64 bits"


def _review(spec: ReviewNode | ReviewSpec) -> Iterator[Complaint]:
    yield from _repeated("assignees", spec.assignees)
    yield from _repeated("escalate_to", spec.escalate_to)
    if spec.on_timeout == "escalate" and not spec.escalate_to:
        yield ("on_timeout",), "on_timeout: escalate needs escalate_to: who is asked then"
    if spec.on_timeout != "escalate" and spec.escalate_to:
        yield ("escalate_to",), "escalate_to needs on_timeout: escalate"


def _router(node: RouterNode) -> Iterator[Complaint]:
    routes = list(node.routes)
    if not routes:
        yield ("routes",), "routes must not be empty"
    if isinstance(node.routes, list):
        yield from _repeated("routes", node.routes)
    for position, rule in enumerate(node.rules):
        if rule.route not in routes:
            yield ("rules", position, "route"), f"route {rule.route!r} is not one of the routes"
    if node.default_route is not None and node.default_route not in routes:
        yield ("default_route",), f"default_route {node.default_route!r} is not one of the routes"
    yield from _router_model(node)


def _router_model(node: RouterNode) -> Iterator[Complaint]:
    if (node.model is None) != (node.prompt_template is None):
        present, absent = ("model", "prompt_template") if node.model else ("prompt_template", "model")
        yield (present,), f"{present} needs {absent}"
    if node.model is None:
        for key in ("min_confidence", "cache_ttl_s"):
            if getattr(node, key) is not None:
                yield (key,), f"{key} needs a model"
        if node.default_route is None:
            yield ("routes",), "without a model there must be a default_route: no rule may match"
    elif node.min_confidence is not None and node.default_route is None:
        yield ("min_confidence",), "min_confidence needs a default_route: where an answer in doubt goes"


def _repeated(key: str, values: Sequence[str]) -> Iterator[Complaint]:
    counts: Mapping[str, int] = Counter(values)
    for position, value in enumerate(values):
        if counts[value] > 1 and value in values[:position]:
            yield (key, position), f"{value!r} is listed twice in {key}"
