from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topology.workflow_files import errors, function, nodes
from topology.graph import Shape, build_graph


def graph_errors(**dependencies: str) -> list[str]:
    text = "".join(function(node, *listed.split()) for node, listed in dependencies.items())
    return [error.removeprefix("w.yaml:") for error in errors(nodes(text))]


def test_an_unknown_dependency_suggests_the_nearest() -> None:
    assert graph_errors(classify="", extract="clasify") == [
        "6:76: node 'extract': unknown dependency 'clasify', did you mean 'classify'?",
    ]


def test_a_node_that_depends_on_itself() -> None:
    assert graph_errors(a="a") == ["5:70: node 'a' depends on itself"]


def test_a_dependency_listed_twice() -> None:
    assert graph_errors(a="", b="a a") == ["6:73: node 'b': dependency 'a' is listed twice"]


def test_a_cycle_is_named_whole_and_once() -> None:
    assert graph_errors(a="c", b="a", c="b") == ["5:70: the dependencies go round in a circle: a -> c -> b -> a"]


def test_two_cycles_are_two_errors() -> None:
    assert graph_errors(a="b", b="a", c="d", d="c") == [
        "5:70: the dependencies go round in a circle: a -> b -> a",
        "7:70: the dependencies go round in a circle: c -> d -> c",
    ]


def test_nodes_below_a_cycle_are_said_to_be_unreachable_one_by_one() -> None:
    assert graph_errors(z="y", y="b", a="b", b="a") == [
        "5:70: node 'z' can never run: it depends on 'y' (a cycle)",
        "6:70: node 'y' can never run: it depends on 'b' (a cycle)",
        "7:70: the dependencies go round in a circle: a -> b -> a",
    ]


def test_nodes_below_an_unknown_dependency_are_unreachable() -> None:
    assert graph_errors(a="nope", b="a", c="b", d="") == [
        "5:70: node 'a': unknown dependency 'nope'",
        "6:70: node 'b' can never run: it depends on 'a' (a dependency that does not exist)",
        "7:70: node 'c' can never run: it depends on 'b' (a dependency that does not exist)",
    ]


@pytest.mark.parametrize(
    "node", ["input", "control", "run", "retry", "dead_letter", "output", "tokens", "effects", "timers", "ledger"]
)
def test_names_of_own_topics_and_tables_are_taken(node: str) -> None:
    assert errors(nodes(function(node))) == [
        f"w.yaml:5:12: node id '{node}' is taken: it is the name of one of the workflow's own topics or tables"
    ]


def test_words_of_the_template_language_are_taken() -> None:
    assert "no template or condition could name it" in errors(nodes("- {id: 'none', type: external}\n"))[0]


def test_the_order_is_that_of_the_file_where_there_is_a_choice() -> None:
    graph, _ = build_graph([Shape(0, "d", ("a", "b")), Shape(1, "b", ()), Shape(2, "a", ()), Shape(3, "c", ("d",))])
    assert graph.order == ("b", "a", "d", "c")
    assert graph.sinks == ("c",)
    assert graph.ancestors["c"] == {"a", "b", "d"}


@st.composite
def acyclic(draw: st.DrawFn) -> list[Shape]:
    count = draw(st.integers(1, 12))
    edges = [draw(st.sets(st.integers(0, position - 1))) if position else set() for position in range(count)]
    shapes = [(f"n{position}", tuple(f"n{above}" for above in sorted(edges[position]))) for position in range(count)]
    return [Shape(index, *shape) for index, shape in enumerate(draw(st.permutations(shapes)))]


@given(acyclic())
def test_an_acyclic_graph_has_no_errors_and_a_topological_order(shapes: list[Shape]) -> None:
    graph, findings = build_graph(shapes)
    assert findings == ()
    assert sorted(graph.order) == sorted(shape.id for shape in shapes)
    for shape in shapes:
        before = graph.order[: graph.order.index(shape.id)]
        assert set(shape.dependencies) <= graph.ancestors[shape.id] <= set(before)


@given(acyclic())
def test_ancestors_are_transitive_and_every_node_leads_to_a_sink(shapes: list[Shape]) -> None:
    graph, _ = build_graph(shapes)
    for node, above in graph.ancestors.items():
        assert all(graph.ancestors[ancestor] <= above for ancestor in above)
        assert node in graph.sinks or any(node in graph.ancestors[sink] for sink in graph.sinks)


@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 7), max_size=4)), max_size=9))
def test_any_graph_is_an_order_or_has_findings(raw: list[tuple[int, list[int]]]) -> None:
    shapes = [Shape(index, f"n{node}", tuple(f"n{d}" for d in above)) for index, (node, above) in enumerate(raw)]
    graph, findings = build_graph(shapes)
    assert findings or len(graph.order) == len(shapes)
    assert len(findings) == len(set(findings))


def test_a_thousand_nodes_in_a_row_are_no_recursion() -> None:
    shapes = [Shape(0, "n0", ("n999",)), *(Shape(i, f"n{i}", (f"n{i - 1}",)) for i in range(1, 1000))]
    _, findings = build_graph(shapes)
    assert findings[0].message.startswith("the dependencies go round in a circle: n0 -> n999 -> n998")
