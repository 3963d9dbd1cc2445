from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.cel_ast import Named
from topology.expressions import ExpressionError, compile_condition, compile_expression

NAMES = ["input", "classify", "extract", "list"]
OUTPUTS: dict[str, Any] = {
    "input": {"amount": 150, "rate": 1.5, "items": [1, 2, {"a": None}], "note": None, "text": "hé"},
    "classify": {"label": "invoice", "count": 3.0},
}


def problem(source: str) -> tuple[int, int, str]:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, NAMES)
    return caught.value.line, caught.value.col, caught.value.message


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('classify.label == "invoice"', True),
        ("input.amount > 100", True),
        ("input.amount > 149.5", True),
        ("input.rate > 1", True),
        ("classify.count == 3", True),
        ("classify.count == 3.0", True),
        ("classify.count in [3]", True),
        ("input.amount + 1", 151),
        ("double(input.amount) * 1.5", 225.0),
        ("size(input.items)", 3),
        ("input.items[2].a == null", True),
        ("input['amount']", 150),
        ("has(input.nope)", False),
        ("extract == null", True),
        ("input.note", None),
        ("input.items.exists(x, x == 2)", True),
        ("input.text + '!'", "hé!"),
        ("{'a': input.amount}.a", 150),
        ("input", OUTPUTS["input"]),
    ],
)
def test_evaluates(source: str, value: object) -> None:
    assert compile_expression(source, NAMES).evaluate(OUTPUTS) == value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("clasify.label == 'x'", (1, 1, "unknown name 'clasify', did you mean 'classify'?")),
        ("true && nope == 1", (1, 9, "unknown name 'nope'")),
        ("true &&\n nope.a.b == 1", (2, 2, "unknown name 'nope'")),
        ("input.items.all(x, y > 1)", (1, 20, "unknown name 'y'")),
        ("input.amount >", (1, 15, "Syntax error: unexpected end")),
        ("", (1, 1, "Syntax error: unexpected end")),
        ("1 + 'a'", (1, 3, "found no matching overload for '_+_' applied to '(int, string)'")),
    ],
)
def test_an_error_has_its_position(source: str, expected: tuple[int, int, str]) -> None:
    assert problem(source) == expected


def test_a_node_with_the_name_of_a_type_is_explained() -> None:
    assert "CEL has a type called 'list'" in problem("list.a == 1")[2]


@pytest.mark.parametrize("source", ["(" * 5000, "1" + "+1" * 5000, "[" * 9000, "input" + ".a" * 4000, "x" * 10_001])
def test_what_is_too_deep_or_long_is_an_error(source: str) -> None:
    problem(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("extract.id", "'extract.id': extract is null"),
        ("input.nope", "'input.nope': Key not found in map: \"nope\""),
        ("input.note.x", "'input.note.x': reads a field of something that is no object"),
        ("1 / (input.amount - 150)", "'1 / (input.amount - 150)': divide by zero"),
        (
            "input.rate + 1",
            "'input.rate + 1': No matching overloads found: _+_(double, int64); CEL arithmetic does not mix integers and "
            "fractions: write double(...) around the integer",
        ),
    ],
)
def test_an_evaluation_error_is_raised(source: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, NAMES).evaluate(OUTPUTS)
    assert caught.value.message == message


@pytest.mark.parametrize("value", [2**70, "\ud800", object()])
def test_a_value_cel_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises(ExpressionError):
        compile_expression("input.x == 1", NAMES).evaluate({"input": {"x": value}})


def test_an_endless_expression_ends() -> None:
    nested = compile_expression("input.l.all(x, input.l.all(y, input.l.all(z, true)))", NAMES)
    with pytest.raises(ExpressionError, match="Iteration budget exceeded"):
        nested.evaluate({"input": {"l": list(range(1000))}})


def test_uses_are_found_with_their_fields_and_places() -> None:
    expression = compile_expression("has(input.a) && classify['b'] == 1 && size(input) > [classify][0].c", NAMES)
    assert expression.uses == (
        Named("input", "a", 4),
        Named("classify", "b", 16),
        Named("input", None, 43),
        Named("classify", None, 53),
    )
    assert expression.references == {"input", "classify"}


def test_a_macro_variable_hides_a_node() -> None:
    expression = compile_expression("input.l.exists(classify, classify == 2) && extract == null", NAMES)
    assert expression.references == {"input", "extract"}


def test_a_condition_is_true_or_false() -> None:
    assert compile_condition("input.amount > 1", NAMES).evaluate(OUTPUTS) is True


@pytest.mark.parametrize(("source", "kind"), [("1", "int"), ("'a'", "string"), ("[1]", "list"), ("input.a + 1", "int")])
def test_what_is_seen_not_to_be_boolean_is_refused_at_once(source: str, kind: str) -> None:
    with pytest.raises(ExpressionError, match=f"must be true or false, this is of type {kind}"):
        compile_condition(source, NAMES)


@pytest.mark.parametrize(
    ("source", "kind"), [("input.amount", "a number"), ("input.text", "a string"), ("input.note", "null")]
)
def test_what_turns_out_not_to_be_boolean_is_an_error(source: str, kind: str) -> None:
    with pytest.raises(ExpressionError, match=f"must be true or false, it is {kind}"):
        compile_condition(source, NAMES).evaluate(OUTPUTS)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


WRAPPED = compile_expression("[input.x]", NAMES)


@given(JSON)
def test_json_comes_through_unchanged(value: object) -> None:
    assert WRAPPED.evaluate({"input": {"x": value}}) == [value]


@pytest.mark.parametrize("value", ["a\0b", ["a\0"], {"a\0": 1}, {"a": {"b": "\0"}}])
def test_a_nul_character_is_an_error_because_the_library_would_cut_the_string(value: object) -> None:
    with pytest.raises(ExpressionError, match="NUL"):
        WRAPPED.evaluate({"input": {"x": value}})


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_an_expression_error(source: str) -> None:
    with contextlib.suppress(ExpressionError):
        compile_expression(source, NAMES)
