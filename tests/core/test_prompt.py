"""What an llm node sends, and how many tokens that can be at most."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.outcome import NodeError
from streams.core.prompt import MAX_FEEDBACK, Prompt, feedback_on
from tests.plans import llm, plan_of
from topology.templates import TemplateError

NODE = plan_of({"n": ()}, nodes={"n": llm(prompt="Say {{ input.text }}")}).nodes[0]


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_the_bound_has_a_token_for_every_byte(text: str) -> None:
    prompt = Prompt(NODE)
    messages = prompt.messages({"input": {"text": text}}, None)
    assert prompt.most_prompt_tokens(messages) >= sum(len(message.encode()) for message in messages)


def test_the_bound_counts_the_schema() -> None:
    assert NODE.llm is not None
    bare, long = Prompt(NODE), {"type": "object", "description": "x" * 500}
    with_schema = Prompt(replace(NODE, llm=replace(NODE.llm, output_schema=long)))
    assert with_schema.most_prompt_tokens(("a",)) >= bare.most_prompt_tokens(("a",)) + 500


@pytest.mark.parametrize("kind", ["malformed_output", "schema", "length", "refusal"])
def test_the_next_attempt_is_told_what_was_wrong(kind: str) -> None:
    _, told = Prompt(NODE).messages({"input": {"text": "x"}}, NodeError(kind, "label: {missing}."))
    assert "label: {missing}. Answer again" in told


@pytest.mark.parametrize("kind", ["timeout", "rate_limited", "provider_unavailable", "low_confidence"])
def test_other_errors_are_not_the_models_business(kind: str) -> None:
    assert Prompt(NODE).messages({"input": {"text": "x"}}, NodeError(kind, "slow")) == ("Say x",)


def test_a_long_error_is_cut() -> None:
    told = feedback_on(NodeError("schema", "x" * (MAX_FEEDBACK + 7)))
    assert told is not None
    assert "(7 more characters)" in told


def test_a_prompt_that_does_not_render() -> None:
    with pytest.raises(TemplateError):
        Prompt(NODE).messages({"input": None}, None)
