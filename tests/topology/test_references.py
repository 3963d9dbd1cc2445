from __future__ import annotations

import pytest

from tests.topology.workflow_files import errors, function, llm, load, nodes

CLOSED = ", output_schema: schemas/closed.json"


def short(text: str, **files: str | None) -> list[str]:
    return [error.removeprefix("w.yaml:") for error in errors(nodes(text), **files)]


def test_an_unknown_name_in_a_template_points_into_the_template() -> None:
    assert short(llm("classify") + llm("b", "classify"), prompts__p_j2="a\n\n{{ input.x }} {{ clasify.x }}") == [
        "prompts/p.j2:3:1: node 'b': unknown name 'clasify', did you mean 'classify'?",
        "prompts/p.j2:3:1: node 'classify': unknown name 'clasify'",
    ]


def test_a_node_that_is_no_ancestor_must_be_added_to_the_dependencies() -> None:
    text = llm("a") + "- {id: b, type: llm, model: m, prompt_template: prompts/q.j2}\n"
    assert short(text, prompts__q_j2="\n{{ a.x }}") == [
        "prompts/q.j2:2:1: node 'b': 'a' is not above 'b': add it to dependencies"
    ]


def test_a_node_does_not_see_itself_nor_what_runs_later() -> None:
    text = function("a", more=", when: a.x == 1 && b.y == 2") + function("b", "a")
    assert short(text) == [
        "5:79: node 'a': a node does not see its own output",
        "5:91: node 'a': 'b' runs after 'a', so there is no output of it yet",
    ]


def test_a_field_that_a_closed_schema_does_not_have() -> None:
    text = llm("a", more=CLOSED) + "- {id: b, type: llm, model: m, prompt_template: prompts/q.j2, dependencies: [a]}\n"
    assert short(text, prompts__q_j2="{{ a.label }}\n{{ a.lable }}{{ a['x'] }}") == [
        "prompts/q.j2:2:1: node 'b': 'a' has no field 'lable' by its schema, did you mean 'label'?",
        "prompts/q.j2:2:1: node 'b': 'a' has no field 'x' by its schema",
    ]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (", when: a.lable == 'x'", "7:80: node 'b': 'a' has no field 'lable' by its schema, did you mean 'label'?"),
        (", when: \"a['nope'] == 'x'\"", "7:81: node 'b': 'a' has no field 'nope' by its schema"),
        (", when: has(a.nope)", "7:84: node 'b': 'a' has no field 'nope' by its schema"),
        (", idempotency_key: 'k-${a.idd}'", "7:96: node 'b': 'a' has no field 'idd' by its schema, did you mean 'id'?"),
        (", when: input.nope == 1", "7:80: node 'b': 'input' has no field 'nope' by its schema"),
        (", when: c.x == 1", "7:80: node 'b': unknown name 'c'"),
        (", when: 'a.label =='", "7:91: node 'b': Syntax error: unexpected end"),
        (
            ", when: a.label == 1 + 'x'",
            "7:93: node 'b': found no matching overload for '_+_' applied to '(int, string)'",
        ),
        (", when: size(a) + 1", "7:80: node 'b': must be true or false, this is of type int"),
        (", idempotency_key: 'x${a.id'", "7:93: node 'b': '${' without its '}'"),
        (", idempotency_key: '${a.id == }'", "7:102: node 'b': Syntax error: unexpected end"),
        (
            ", idempotency_key: a.id",
            "7:91: node 'b': idempotency_key is the text 'a.id': write it as ${a.id}",
        ),
    ],
)
def test_conditions_and_keys(more: str, found: str) -> None:
    text = nodes(llm("a", more=CLOSED) + function("b", "a", more=more))
    text = text.replace("version: 1.0.0", "version: 1.0.0\n  input_schema: schemas/closed.json")
    assert errors(text, prompts__p_j2="{{ input.id }}") == [f"w.yaml:{found}"]


def test_a_condition_over_several_lines() -> None:
    text = """
        - id: a
          type: external
          when: |
            input.x == 1 &&
              nope.y == 2
        - id: b
          type: external
          when: >-
            input.x == 1
            && nope.y == 2
        - id: c
          type: external
          when: "input.x == \\"1\\" && nope"
        """
    assert short(text.lstrip("\n")) == [
        "9:11: node 'a': unknown name 'nope'",
        "12:13: node 'b': unknown name 'nope'",
        "17:13: node 'c': unknown name 'nope'",
    ]


def test_a_condition_that_is_always_false_is_warned_of_with_what_needs_it() -> None:
    text = (
        function("a", more=", when: 1 > 2")
        + function("b", "a")
        + function("c", "a", more=", join: all_done")
        + function("d")
        + function("e", "a", "d", more=", join: any_success")
        + function("f", "b", "a", more=", join: any_success")
    )
    loaded = load(nodes(text))
    assert loaded.plan is not None
    assert [str(warning).removeprefix("w.yaml:") for warning in loaded.warnings] == [
        "5:79: node 'a': can never run: when is always false",
        "6:70: node 'b' can never run: it depends on 'a' (its condition is always false)",
        "10:70: node 'f' can never run: it depends on 'b' (its condition is always false)",
    ]


def test_a_router_has_three_fields() -> None:
    router = "- {id: r, type: router, routes: [x], default_route: x, rules: [{when: input.a == 1, route: x}, {when: nope, route: x}]}\n"
    assert short(router + function("b", "r", more=", when: r.rout == 'x'")) == [
        "5:107: node 'r': unknown name 'nope'",
        "6:80: node 'b': 'r' has no field 'rout' by its schema, did you mean 'route'?",
    ]


def test_a_for_each_node_sees_its_item_and_gives_a_list() -> None:
    text = (
        function("a")
        + "- {id: b, type: llm, model: m, prompt_template: prompts/q.j2, dependencies: [a], for_each: a.rows}\n"
        + function("c", "b", more=", when: \"b.label == 'x' || b.items != []\"")
    )
    assert short(text, prompts__q_j2="{{ item.x }} {{ index }}") == [
        "7:81: node 'c': 'b' has no field 'label' by its schema",
    ]


def test_reads_are_the_ancestors_named_in_topological_order() -> None:
    text = (
        function("a")
        + function("b", "a")
        + function("c", "b")
        + "- {id: d, type: llm, model: m, prompt_template: prompts/q.j2, dependencies: [c], when: a.x == 1}\n"
        + "- {id: e, type: llm, model: m, prompt_template: prompts/r.j2, dependencies: [d], idempotency_key: '${input.x}${b.y}'}\n"
    )
    plan = load(nodes(text), prompts__q_j2="{{ b.x }}", prompts__r_j2="nothing").require_plan()
    assert (plan.node("d").reads, plan.node("d").reads_input) == (("a", "b"), False)
    assert (plan.node("e").reads, plan.node("e").reads_input) == (("b",), True)
    assert (plan.node("c").reads, plan.node("c").reads_input) == (("a", "b"), True)
    assert plan.node("d").sources == ("c", "a", "b")
