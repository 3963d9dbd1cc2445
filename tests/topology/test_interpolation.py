from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.cel_ast import Named
from topology.expressions import ExpressionError, compile_interpolation

NAMES = ["input", "extract"]


def rendered(source: str, value: object) -> str:
    return compile_interpolation(source, NAMES).evaluate({"extract": {"id": value}})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (7, "7"),
        (3.0, "3"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
    ],
)
def test_scalars_are_rendered_as_people_write_them(value: object, text: str) -> None:
    assert rendered("inv-${extract.id}", value) == f"inv-{text}"


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), ([1], "a list"), ({"a": 1}, "a dict"), (float("inf"), "a float"), (float("nan"), "a float")],
)
def test_what_is_no_scalar_is_an_error(value: object, kind: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        rendered("${extract.id}", value)
    assert caught.value.message == f"${{extract.id}} must be a string, a number or a boolean, it is {kind}"


def test_an_empty_key_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="is empty"):
        rendered("${extract.id}", "")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("$${extract.id}", "${extract.id}"),
        ("cost $5 ${extract.id}$", "cost $5 x$"),
        ("${extract.id}${extract.id}", "xx"),
        ("${{'}': extract.id}['}']}", "x"),
        ("${'\\'}' + extract.id}", "'}x"),
        ("${'''}''' + extract.id}", "}x"),
        ("${ extract.id }", "x"),
    ],
)
def test_braces_strings_and_escapes(source: str, text: str) -> None:
    assert rendered(source, "x") == text


@pytest.mark.parametrize(
    ("source", "line", "col", "message"),
    [
        ("a${nope.x}", 1, 4, "unknown name 'nope'"),
        ("a\nb${ 1 + }", 2, 9, "Syntax error: unexpected end"),
        ("ab ${extract.id", 1, 4, "'${' without its '}'"),
        ("${'}", 1, 1, "'${' without its '}'"),
        ("${}", 1, 3, "Syntax error: unexpected end"),
    ],
)
def test_an_error_has_its_position_in_the_whole_string(source: str, line: int, col: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_interpolation(source, NAMES)
    assert (caught.value.line, caught.value.col, caught.value.message) == (line, col, message)


def test_uses_have_their_offset_in_the_whole_string() -> None:
    uses = compile_interpolation("a-${extract.id}-${input}", NAMES).uses
    assert uses == (Named("extract", "id", 4), Named("input", None, 18))


@given(st.text(min_size=1))
def test_text_without_a_dollar_is_itself(text: str) -> None:
    source = text.replace("$", "S")
    assert compile_interpolation(source, NAMES).evaluate({}) == source


@given(st.text())
def test_an_escaped_dollar_brace_is_literal(text: str) -> None:
    source = "${" + text.replace("$", "S")
    assert compile_interpolation("$" + source, NAMES).evaluate({}) == source


@given(st.integers(-(2**53), 2**53))
def test_an_integral_float_is_rendered_like_the_integer(number: int) -> None:
    assert rendered("${extract.id}", float(number)) == rendered("${extract.id}", number) == str(number)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_string_comes_through(text: str) -> None:
    assert rendered("${extract.id}", text) == text
