from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.templates import Template, TemplateError, TemplateField, compile_template, references

OUTPUTS: dict[str, Any] = {
    "input": {
        "text": "hé <b>",
        "items": [1, 2, 3],
        "people": [{"name": "Ann", "age": 3}, {"name": "Bo", "age": 4}],
        "note": None,
    },
    "classify": {"label": "invoice"},
    "skipped": None,
}


def render(source: str) -> str:
    return compile_template(source, "p.j2").render(OUTPUTS)


def problem(source: str) -> str:
    with pytest.raises(TemplateError) as caught:
        render(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ input.text }}", "hé <b>"),
        ("{{ input['text'] }}", "hé <b>"),
        ("{{ input.items }}", "[1, 2, 3]"),
        ("{{ input.items[0] }}{{ input.items[-1] }}{{ input.items[:1] }}", "13[1]"),
        ("{{ input.people | tojson }}", '[{"name": "Ann", "age": 3}, {"name": "Bo", "age": 4}]'),
        ("{{ input.text | tojson }}", '"hé <b>"'),
        ("{{ input.people | map(attribute='name') | join(', ') }}", "Ann, Bo"),
        ("{{ input.people | join('/', attribute='name') }}", "Ann/Bo"),
        ("{{ input.people | sum(attribute='age') }}", "7"),
        ("{{ input.people | map(attribute='name') | tojson }}", '["Ann", "Bo"]'),
        (
            "{% for p in input.people if p.age > 3 %}{{ loop.index }}/{{ loop.length }} {{ p.name }}{% endfor %}",
            "1/1 Bo",
        ),
        ("{% for k, v in classify.items() %}{{ k }}={{ v }}{% endfor %}", "label=invoice"),
        ("{{ 'a' ~ 1 ~ classify.label }}", "a1invoice"),
        ("{{ '%.2f' | format(3.14159) }} {{ '%05.1f' % 2.25 }} {{ '%s-%s' % ('a', 'b') }}", "3.14 002.2 a-b"),
        ("{{ '-' * 20 }}", "-" * 20),
        ("{{ 2 ** 10 }} {{ 7 * 6 }} {{ 7 % 4 }} {{ 1 + 1 }}", "1024 42 3 2"),
        ("{{ input.nope | default('none') }} {{ input.nope is defined }}", "none False"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ 'aXb' | replace('X', '-') }} {{ 3.14159 | round(2) }}", "a-b 3.14"),
        ("{{ 'hello world' | truncate(8, true, '...', 0) }}", "hello..."),
        ("{{ '<' | e ~ '<' }}", "&lt;<"),
        ("{% macro li(x) %}- {{ x }}{% endmacro %}{{ li('a') }}", "- a"),
        ("{% set ns = namespace(n=0) %}{% for i in input.items %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"),
        ("{{ input.note }} {{ skipped }}", "None None"),
        ("{{ dict(a=1).a }} {{ range(3) | list }}", "1 [0, 1, 2]"),
        ("{% for g in input.people | groupby('name') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}", "Ann1Bo1"),
    ],
)
def test_renders(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ x", "p.j2:1: unexpected end of template, expected 'end of print statement'."),
        ("\n\n{{ 'a' | nofilter }}", "p.j2:3: No filter named 'nofilter'."),
        ("a\n{% include 'x' %}", "p.j2:2: 'include' is not available: a prompt is one file"),
        ("{% import 'x' as y %}", "p.j2:1: 'import' is not available: a prompt is one file"),
        ("{% from 'x' import y %}", "p.j2:1: 'from' is not available: a prompt is one file"),
        ("{% extends 'x' %}", "p.j2:1: 'extends' is not available: a prompt is one file"),
        ("{% block a %}{% endblock %}", "p.j2:1: 'block' is not available: a prompt is one file"),
        ("{% autoescape true %}{% endautoescape %}", "p.j2:1: 'autoescape' is not available: a prompt is text"),
        ("{% for i in [] recursive %}{% endfor %}", "p.j2:1: recursive loops are not available"),
        ("{{ 'x' | center(10 ** 9) }}", "p.j2:1: No filter named 'center'."),
        ("{{ 'x' | attr('__class__') }}", "p.j2:1: No filter named 'attr'."),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "p.j2:1: too deeply nested or too large (RecursionError)"),
    ],
)
def test_what_cannot_be_compiled_is_an_error_with_its_line(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(source, "p.j2")
    assert str(caught.value) == message


def test_loops_nested_deeper_than_python_allows_are_an_error() -> None:
    with pytest.raises(TemplateError, match="too deeply nested"):
        compile_template("{% for i in x %}" * 30 + "{% endfor %}" * 30, "p.j2")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\nb\n{{ input.nope }}", "p.j2:3: 'dict object' has no attribute 'nope'"),
        ("{{ nope }}", "p.j2:1: 'nope' is undefined"),
        ("{{ [nope] }}", "p.j2:1: 'nope' is undefined"),
        ("{{ {'a': nope} | tojson }}", "p.j2:1: 'nope' is undefined"),
        ("\n{{ skipped.label }}", "p.j2:2: 'None' has no attribute 'label'"),
        ("{{ 1 // 0 }}", "p.j2:1: integer division or modulo by zero"),
        (
            "{{ classify.items }}",
            "p.j2:1: a function or method is printed: is a '()' missing, or is it meant as a field?",
        ),
    ],
)
def test_a_render_that_fails_says_where(source: str, message: str) -> None:
    assert problem(source) == message


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ input.__class__.__mro__ }}",
        "{{ dict.__mro__ }}",
        "{{ dict.__globals__ }}",
        "{{ range.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ self.__dict__ }}",
        "{{ self._TemplateReference__context }}",
        "{% for i in [1] %}{{ loop._iterable }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m._func }}",
        "{{ [1] | map(attribute='__class__') | list }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ 'a'.format_map({}) }}",
        "{{ 'a'.encode() }}",
        "{{ input.items.append(1) }}",
        "{{ input.update({}) }}",
        "{{ dict.update(input, text='changed') }}",
        "{{ (1).real }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ range }}",
    ],
)
def test_nothing_escapes(source: str) -> None:
    before = repr(OUTPUTS)
    problem(source)
    assert repr(OUTPUTS) == before


DOUBLING = "{{% set ns = namespace(a='aaaa') %}}{{% for i in range(100) %}}{}{{% endfor %}}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'a' }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 9 ** 9999 }}",
        "{{ (9 ** 1000) * (9 ** 1000) }}",
        "{{ 'x'.center(10 ** 9) }}",
        "{{ 'x'.ljust(10 ** 9) }}",
        "{{ 'x'.zfill(10 ** 9) }}",
        "{{ '%1000000d' % 1 }}",
        "{{ '%.1000000f' % 1 }}",
        "{{ '%*d' % (1000000, 1) }}",
        "{{ '%1000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ ('%s' * 5000) % (('a' * 10000,) * 5000) }}",
        "{{ range(10 ** 9) | list }}",
        "{{ (['a'] * 10000) | join('b' * 10000) }}",
        "{{ 'a' | replace('', 'x' * 10000) | replace('', 'x' * 10000) }}",
        "{{ 'a' | indent(10 ** 9) }}",
        "{{ 1 | round(10 ** 9, 'ceil') }}",
        "{{ [1] | tojson(10 ** 9) }}",
        "{{ [[1]] | sum(start=[]) }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = range(100000) | list %}{% endfor %}",
        "{% for i in range(100000) %}" + "x" * 100 + "{% endfor %}",
        "{% filter upper %}{% for i in range(100000) %}" + "x" * 10000 + "{% endfor %}{% endfilter %}",
        "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        DOUBLING.format("{% set ns.a = ns.a ~ ns.a %}"),
        DOUBLING.format("{% set ns.a = ns.a + ns.a %}"),
        DOUBLING.format("{% set ns.a %}{{ ns.a }}{{ ns.a }}{% endset %}"),
        DOUBLING.format("{% set ns.a = '%s%s' % (ns.a, ns.a) %}"),
        DOUBLING.format("{% set ns.a = [ns.a, ns.a] | join %}"),
        DOUBLING.format("{% set ns.a = ns.a | tojson | tojson %}"),
        DOUBLING.format("{% set ns.a = [ns.a, ns.a] %}") + "{{ ns.a }}",
        DOUBLING.format("{% set ns.a = [ns.a, ns.a] %}") + "{{ ns.a | upper }}",
        DOUBLING.format("{% set ns.a = [ns.a, ns.a] %}") + "{{ ns.a | tojson }}",
    ],
)
def test_no_bomb_goes_off(source: str) -> None:
    problem(source)


def names(source: str) -> dict[str, int]:
    return references(compile_template(source, "p.j2"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ input.text }}\n{{ classify.label }}\n{{ input }}", {"input": 1, "classify": 2}),
        ("{% for x in extract.rows %}{{ x }}{{ loop.index }}{% endfor %}", {"extract": 1}),
        ("{% set a = input %}{{ a }}{{ range(3) | list }}", {"input": 1}),
        ("\n{% if classify %}{{ extract }}{% endif %}", {"classify": 2, "extract": 2}),
        ("{% macro m(x) %}{{ x }}{{ caller() }}{{ varargs }}{{ input }}{% endmacro %}", {"input": 1}),
        ("{# classify #}{% raw %}{{ extract }}{% endraw %}", {}),
        ("{{ range.label }}", {"range": 1}),
    ],
)
def test_references_are_the_names_from_outside(source: str, found: dict[str, int]) -> None:
    assert names(source) == found


def test_fields_are_found_where_the_name_is_never_bound() -> None:
    template = compile_template(
        "{{ classify.label }}\n{{ extract['id'] }}{{ input.items() }}\n{% for x in [1] %}{{ x.y }}{% endfor %}", "p.j2"
    )
    assert template.fields == (TemplateField("classify", "label", 1), TemplateField("extract", "id", 2))


def test_a_template_can_be_rendered_again_after_it_failed() -> None:
    template: Template = compile_template("{% for i in input.items %}{{ i }}{% endfor %}", "p.j2")
    with pytest.raises(TemplateError):
        template.render({"input": {"items": range(10**6)}})
    assert template.render(OUTPUTS) == "123"


@given(st.text())
def test_data_is_never_a_template(text: str) -> None:
    assert (
        compile_template("{{ input.text }}", "p.j2").render({"input": {"text": text + "{{ 1 }}"}}) == text + "{{ 1 }}"
    )


@given(st.text(alphabet="{}%#-abc.|()'\n 1*[]", max_size=60))
def test_any_text_compiles_or_is_a_template_error(source: str) -> None:
    with contextlib.suppress(TemplateError):
        compile_template(source, "p.j2").render(OUTPUTS)
