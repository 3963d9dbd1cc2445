"""The llm node against a real server."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.provider import ChatRequest, ProviderServer, Rule
from streams.core.outcome import Done, Failed, NodeError
from streams.errors import ProviderConfigError
from streams.nodes import Resources, build
from streams.providers import ProviderRegistry
from tests.nodes.conftest import attempt, llm_plan
from topology.json_schema import compile_schema
from topology.plan import NodePlan
from topology.templates import TemplateError

FEEDBACK_KINDS = ["malformed_output", "schema", "length", "refusal"]
OTHER_KINDS = ["timeout", "rate_limited", "provider_unavailable", "handler"]


async def prompts_of(server: ProviderServer, resources: Resources, plan: NodePlan, **inputs: Any) -> list[str]:
    seen: list[ChatRequest] = []
    server.configure(answer=seen.append)
    await build(plan, "wf", resources).execute(attempt(**inputs))
    return [entry["content"] for entry in seen[0].body["messages"]]


async def test_the_answer_fits_the_schema(resources: Resources) -> None:
    outcome = await build(llm_plan(), "wf", resources).execute(attempt())
    assert isinstance(outcome, Done)
    assert compile_schema(llm_plan().llm.output_schema, "s").validate(outcome.output) == []  # type: ignore[union-attr]
    assert outcome.usage.total_tokens > 0
    assert outcome.model == "gpt-4o-mini"


async def test_without_a_schema_it_is_a_text(server: ProviderServer, resources: Resources) -> None:
    server.configure(rules=(Rule(contains="hello", answer="Hi."),))
    outcome = await build(llm_plan(schema=None), "wf", resources).execute(attempt("hello"))
    assert isinstance(outcome, Done)
    assert outcome.output == {"text": "Hi."}


async def test_the_prompt_is_rendered_from_the_inputs(server: ProviderServer, resources: Resources) -> None:
    plan = llm_plan("{{ input.text }} is {{ first.label }}", reads=("first",))
    inputs = {"input": {"text": "it"}, "first": {"label": "spam"}}
    assert await prompts_of(server, resources, plan, inputs=inputs) == ["it is spam"]


async def test_a_node_without_an_output_is_none(server: ProviderServer, resources: Resources) -> None:
    plan = llm_plan("{% if first is none %}nothing{% else %}{{ first.label }}{% endif %}", reads=("first",))
    assert await prompts_of(server, resources, plan) == ["nothing"]


async def test_a_prompt_that_does_not_render_fails_for_good(server: ProviderServer, resources: Resources) -> None:
    outcome = await build(llm_plan("{{ input.nope }}"), "wf", resources).execute(attempt())
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.retryable) == ("template", False)
    assert "prompts/p.j2:1" in outcome.error.message
    assert server.calls == []


async def test_data_is_never_a_template(server: ProviderServer, resources: Resources) -> None:
    assert await prompts_of(server, resources, llm_plan(), inputs={"input": {"text": "{{ 7 * 7 }}"}}) == [
        "Classify: {{ 7 * 7 }}"
    ]


@pytest.mark.parametrize("kind", FEEDBACK_KINDS)
async def test_the_next_attempt_is_told_what_was_wrong(server: ProviderServer, resources: Resources, kind: str) -> None:
    error = NodeError(kind, 'amount: "a lot" is not a number', traceback="File secret.py, line 1")
    first, second = await prompts_of(server, resources, llm_plan(), previous_error=error)
    assert first == "Classify: hello"
    assert 'amount: "a lot" is not a number' in second
    assert "secret.py" not in second


@pytest.mark.parametrize("kind", OTHER_KINDS)
async def test_other_errors_are_not_the_models_business(
    server: ProviderServer, resources: Resources, kind: str
) -> None:
    assert len(await prompts_of(server, resources, llm_plan(), previous_error=NodeError(kind, "x"))) == 1


async def test_a_message_with_braces_is_not_a_format(server: ProviderServer, resources: Resources) -> None:
    error = NodeError("schema", "{0.__class__} {message}")
    assert "{0.__class__} {message}" in (await prompts_of(server, resources, llm_plan(), previous_error=error))[1]


async def test_a_second_attempt_can_succeed(server: ProviderServer, resources: Resources) -> None:
    server.configure(rules=(Rule(sequence=("schema_break", "ok")),))
    node = build(llm_plan(), "wf", resources)
    first = await node.execute(attempt())
    assert isinstance(first, Failed)
    assert isinstance(await node.execute(attempt(attempt=2, seq=2, previous_error=first.error)), Done)


async def test_the_key_is_the_same_for_a_relaunch_and_another_for_a_retry(
    server: ProviderServer, resources: Resources
) -> None:
    node = build(llm_plan(), "wf", resources)
    for seq in (3, 3, 4):
        await node.execute(attempt(seq=seq))
    assert [call.key for call in server.calls] == ["r1/classify/0/3", "r1/classify/0/3", "r1/classify/0/4"]


async def test_what_cannot_work_shows_at_the_start(resources: Resources) -> None:
    with pytest.raises(TemplateError):
        build(llm_plan("{% if %}"), "wf", resources)
    with pytest.raises(ProviderConfigError):
        build(llm_plan(), "wf", Resources(ProviderRegistry()))
