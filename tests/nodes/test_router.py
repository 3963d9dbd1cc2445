"""The router node against a real server: its model takes one of the routes, or the default takes over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.provider import ChatRequest, ProviderServer, Rule
from streams.core.outcome import Done, Failed, Outcome
from streams.nodes import Resources, build
from tests.nodes.conftest import attempt
from tests.topology.workflow_files import load, nodes
from topology.plan import NodePlan

TEXT = (
    "- {id: triage, type: router, model: gpt-4o-mini, prompt_template: prompts/p.j2, "
    "routes: {refund: money back, other: the rest}, default_route: other}\n"
)


def routing(min_confidence: float | None = None) -> NodePlan:
    node = load(nodes(TEXT)).require_plan().node("triage")
    assert node.router is not None
    return replace(node, router=replace(node.router, min_confidence=min_confidence))


async def routed(server: ProviderServer, resources: Resources, plan: NodePlan, answer: Any) -> Outcome:
    server.configure(rules=(Rule(answer=answer),))
    return await build(plan, "wf", resources).execute(attempt())


async def test_the_model_takes_a_route(server: ProviderServer, resources: Resources) -> None:
    outcome = await routed(server, resources, routing(), {"route": "refund", "confidence": 0.7})
    assert isinstance(outcome, Done)
    assert outcome.output == {"route": "refund", "confidence": 0.7, "by": "model"}
    assert outcome.usage.total_tokens > 0
    assert outcome.request_hash is not None


@pytest.mark.parametrize(
    ("confidence", "route", "by"), [(0.49, "other", "default"), (0.5, "refund", "model"), (1, "refund", "model")]
)
async def test_an_answer_in_doubt_takes_the_default(
    server: ProviderServer, resources: Resources, confidence: float, route: str, by: str
) -> None:
    outcome = await routed(server, resources, routing(0.5), {"route": "refund", "confidence": confidence})
    assert isinstance(outcome, Done)
    assert (outcome.output["route"], outcome.output["by"]) == (route, by)


async def test_a_route_there_is_not_can_be_tried_again(server: ProviderServer, resources: Resources) -> None:
    outcome = await routed(server, resources, routing(), {"route": "elsewhere", "confidence": 1})
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.retryable) == ("schema", True)


async def test_the_model_is_told_the_routes(server: ProviderServer, resources: Resources) -> None:
    seen: list[ChatRequest] = []
    server.configure(answer=seen.append)
    await build(routing(), "wf", resources).execute(attempt())
    (prompt,) = (entry["content"] for entry in seen[0].body["messages"])
    assert prompt.endswith("Routes:\n- refund: money back\n- other: the rest")
