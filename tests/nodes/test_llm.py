"""The llm node against a real server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from benchmarks.provider import ChatRequest, ProviderServer, Rule
from streams.core.outcome import Done, Failed, NodeError
from streams.errors import ProviderConfigError
from streams.nodes import Resources, build
from streams.providers import ProviderConfig, ProviderRegistry
from tests.nodes.conftest import API_KEY, attempt, llm_plan
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


# ---- confidence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.7, 0.95, 1])
async def test_an_answer_that_is_sure_enough_is_used(
    server: ProviderServer, resources: Resources, confidence: float
) -> None:
    server.configure(rules=(Rule(answer={"label": "x", "confidence": confidence}),))
    outcome = await build(llm_plan(min_confidence=0.7), "wf", resources).execute(attempt())
    assert isinstance(outcome, Done)
    assert outcome.output["confidence"] == confidence


ANYTHING: dict[str, Any] = {"type": "object"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"confidence": 0.69}, "confidence 0.69 is below min_confidence 0.7"),
        ({"confidence": "high"}, "confidence not told is below"),
        ({"confidence": None}, "confidence not told is below"),
        ({"confidence": True}, "is below"),
        ({}, "confidence not told is below"),
    ],
)
async def test_an_answer_that_is_not_sure_enough_fails_but_is_paid_and_kept(
    server: ProviderServer, resources: Resources, answer: dict[str, Any], told: str
) -> None:
    server.configure(rules=(Rule(answer=answer),))
    outcome = await build(llm_plan(schema=ANYTHING, min_confidence=0.7), "wf", resources).execute(attempt())
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.retryable) == ("low_confidence", False)
    assert told in outcome.error.message
    assert outcome.usage.total_tokens > 0
    assert (outcome.cost_usd or 0) > 0
    assert (outcome.model, outcome.metered) == ("gpt-4o-mini", True)
    assert outcome.raw == orjson.dumps(answer).decode()
    assert outcome.prompt_hash


@pytest.mark.parametrize(("then", "kept"), [("stop", None), ("review", {"confidence": 0.2})])
async def test_an_answer_in_doubt_is_handed_on_where_a_person_decides(
    server: ProviderServer, resources: Resources, then: str, kept: dict[str, Any] | None
) -> None:
    server.configure(rules=(Rule(answer={"confidence": 0.2}),))
    plan = llm_plan(schema=ANYTHING, min_confidence=0.7, on_low_confidence=then)
    outcome = await build(plan, "wf", resources).execute(attempt())
    assert isinstance(outcome, Failed)
    assert outcome.output == kept


async def test_a_text_tells_no_confidence(resources: Resources) -> None:
    outcome = await build(llm_plan(schema=None, min_confidence=0.1), "wf", resources).execute(attempt())
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "low_confidence"


async def test_without_a_minimum_nobody_asks_how_sure_it_is(server: ProviderServer, resources: Resources) -> None:
    server.configure(faults={"low_confidence": 1.0})
    assert isinstance(await build(llm_plan(), "wf", resources).execute(attempt()), Done)


# ---- which model ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "asked"), [(None, "gpt-4o-mini"), ("gpt-4o-mini", "gpt-4o-mini"), ("gpt-4o", "gpt-4o")]
)
async def test_the_model_that_was_chosen_is_asked(
    server: ProviderServer, resources: Resources, chosen: str | None, asked: str
) -> None:
    node = build(llm_plan(models=("gpt-4o-mini", "gpt-4o")), "wf", resources)
    outcome = await node.execute(attempt(model=chosen))
    assert isinstance(outcome, Done)
    assert outcome.model == asked
    assert [call.model for call in server.calls] == [asked]


async def test_a_fallback_model_may_be_another_providers(server: ProviderServer) -> None:
    async with ProviderServer() as other:
        configs = [
            ProviderConfig("default", SecretStr(API_KEY), server.base_url),
            ProviderConfig("other", SecretStr("other-key"), other.base_url, models=("claude-*",)),
        ]
        resources = Resources(ProviderRegistry(configs))
        node = build(llm_plan(models=("gpt-4o-mini", "claude-3")), "wf", resources)
        outcome = await node.execute(attempt(model="claude-3"))
        await resources.aclose()
        assert isinstance(outcome, Done)
        assert (len(server.calls), [call.model for call in other.calls]) == (0, ["claude-3"])


# ---- what the journal keeps -----------------------------------------------------------------------------------------


async def test_answer_and_hash_are_kept_of_success_and_failure(server: ProviderServer, resources: Resources) -> None:
    server.configure(rules=(Rule(sequence=({"answer": {"label": "x", "confidence": 1}}, {"answer": "no object"})),))
    node = build(llm_plan(), "wf", resources)
    good, bad = await node.execute(attempt()), await node.execute(attempt())
    assert isinstance(good, Done)
    assert isinstance(bad, Failed)
    assert (good.raw, bad.raw) == ('{"label":"x","confidence":1}', "no object")
    assert good.prompt_hash == bad.prompt_hash


async def test_the_hash_is_of_all_that_is_sent(resources: Resources) -> None:
    plans = [
        llm_plan(models=("gpt-4o-mini", "gpt-4o")),
        llm_plan(temperature=0.5),
        llm_plan(params={"seed": 1}),
        llm_plan(max_output_tokens=100),
        llm_plan(schema=None),
    ]
    hashes = [await hash_of(resources, plan) for plan in plans]
    hashes.append(await hash_of(resources, plans[0], model="gpt-4o"))
    hashes.append(await hash_of(resources, plans[0], text="another"))
    hashes.append(await hash_of(resources, plans[0], previous_error=NodeError("schema", "wrong")))
    assert len(set(hashes)) == len(hashes)
    assert await hash_of(resources, plans[0], seq=7, attempt=3) == hashes[0]


async def hash_of(resources: Resources, plan: NodePlan, **inputs: Any) -> str:
    outcome = await build(plan, "wf", resources).execute(attempt(**inputs))
    assert isinstance(outcome, Done)
    assert outcome.prompt_hash is not None
    return outcome.prompt_hash


@pytest.mark.parametrize("fault", [None, "schema_break", "length", "refusal", "malformed_body", "low_confidence"])
async def test_no_answer_is_kept_where_none_is_to_be_kept(server: ProviderServer, fault: str | None) -> None:
    server.configure(faults={} if fault is None else {fault: 1.0})
    resources = Resources(
        ProviderRegistry([ProviderConfig("d", SecretStr("k"), server.base_url, ("*",), keep_raw=False)])
    )
    outcome = await build(llm_plan(min_confidence=0.1), "wf", resources).execute(attempt())
    await resources.aclose()
    assert isinstance(outcome, Done | Failed)
    assert outcome.raw is None
    assert outcome.prompt_hash


# ---- what was counted -----------------------------------------------------------------------------------------------

COUNTED, NOTHING_USED, NOBODY_KNOWS = (True, True), (True, False), (False, False)
"""Whether the outcome is metered, and whether it used tokens."""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, COUNTED),
        ("length", COUNTED),
        ("refusal", COUNTED),
        ("truncated_json", COUNTED),
        ("schema_break", COUNTED),
        ("no_finish_reason", COUNTED),
        ("rate_limit", NOTHING_USED),
        ("http_400", NOTHING_USED),
        ("http_503", NOTHING_USED),
        ("reset", NOBODY_KNOWS),
        ("close", NOBODY_KNOWS),
        ("cut_body", NOBODY_KNOWS),
        ("malformed_body", NOBODY_KNOWS),
        ("html_body", NOBODY_KNOWS),
        ("no_choices", NOBODY_KNOWS),
        ("hang", NOBODY_KNOWS),
    ],
)
async def test_what_nobody_counted_is_told_so(
    server: ProviderServer, resources: Resources, fault: str | None, said: tuple[bool, bool]
) -> None:
    server.configure(faults={} if fault is None else {fault: 1.0})
    plan = replace(llm_plan(), timeout_ms=300 if fault == "hang" else 5_000)
    outcome = await build(plan, "wf", resources).execute(attempt())
    assert isinstance(outcome, Done | Failed)
    assert (outcome.metered, outcome.usage.total_tokens > 0) == said
    assert (outcome.cost_usd is None) == (said == NOBODY_KNOWS)


async def test_a_call_that_reached_nobody_used_nothing(server: ProviderServer, resources: Resources) -> None:
    await server.__aexit__()
    outcome = await build(llm_plan(), "wf", resources).execute(attempt())
    await server.__aenter__()
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.metered, outcome.cost_usd) == ("provider_unavailable", True, 0.0)
