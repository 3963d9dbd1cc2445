"""What an llm node sends: a bound of its tokens before the call, and what it tells the model of its last answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ErrorInfo
from streams.core.outcome import NodeError
from streams.core.prompt import MAX_FEEDBACK, Prompt, feedback_on
from tests.nodes.conftest import SCHEMA, llm_plan
from topology.templates import TemplateError

PROMPT = Prompt(llm_plan("{{ input.text }}"))
ABOUT_THE_ANSWER = ["malformed_output", "schema", "length", "refusal"]
NOT_ABOUT_IT = [
    "timeout",
    "rate_limited",
    "provider_unavailable",
    "provider_refused",
    "template",
    "low_confidence",
    "x",
]


def messages(text: str, previous: NodeError | None = None) -> tuple[str, ...]:
    return PROMPT.messages({"input": {"text": text}}, previous)


@given(st.text(), st.one_of(st.none(), st.text()))
def test_the_bound_is_no_less_than_the_bytes_of_all_that_is_sent(text: str, wrong: str | None) -> None:
    sent = messages(text, None if wrong is None else NodeError("schema", wrong))
    assert sent[0] == text
    envelope = orjson.dumps([{"role": "user", "content": ""} for _ in sent])
    real = sum(len(one.encode()) for one in sent) + len(envelope) + len(orjson.dumps(SCHEMA))
    assert PROMPT.most_prompt_tokens(sent) >= real


def test_schema_and_params_count() -> None:
    params = {"tools": [{"name": "x" * 1_000}]}
    bare, full = Prompt(llm_plan(schema=None)), Prompt(llm_plan(params=params))
    more = full.most_prompt_tokens(("hi",)) - bare.most_prompt_tokens(("hi",))
    assert more >= len(orjson.dumps(SCHEMA)) + len(orjson.dumps(params)) - len("{}{}")


def test_params_may_hold_a_number_of_more_than_64_bits() -> None:
    Prompt(llm_plan(params={"seed": 2**70}))


def test_half_a_surrogate_is_counted_not_raised() -> None:
    assert PROMPT.most_prompt_tokens(("\ud800",)) > PROMPT.most_prompt_tokens(("",))


@pytest.mark.parametrize("kind", ABOUT_THE_ANSWER)
def test_the_model_is_told_what_was_wrong_with_its_answer(kind: str) -> None:
    told = feedback_on(NodeError(kind, "the {why}."))
    assert told is not None
    assert "could not be used: the {why}. Answer again" in told


@pytest.mark.parametrize("kind", NOT_ABOUT_IT)
def test_of_other_errors_it_is_told_nothing(kind: str) -> None:
    assert feedback_on(NodeError(kind, "why")) is None
    assert len(messages("hi", NodeError(kind, "why"))) == 1


def test_after_no_error_there_is_nothing_to_tell() -> None:
    assert feedback_on(None) is None


def test_decision_and_node_tell_the_same() -> None:
    assert feedback_on(ErrorInfo("length", "too long", True)) == feedback_on(NodeError("length", "too long"))


@pytest.mark.parametrize(("length", "cut"), [(MAX_FEEDBACK, False), (MAX_FEEDBACK + 1, True), (100_000, True)])
def test_a_long_message_is_cut(length: int, cut: bool) -> None:
    told = feedback_on(NodeError("schema", "x" * length)) or ""
    assert told.count("x") == MAX_FEEDBACK
    assert ("more characters)" in told) == cut
    assert len(told) < MAX_FEEDBACK + 200


@pytest.mark.parametrize("inputs", [{}, {"input": None}, {"input": {}}])
def test_a_prompt_without_its_data_does_not_render(inputs: dict[str, Any]) -> None:
    with pytest.raises(TemplateError):
        PROMPT.messages(inputs, None)
