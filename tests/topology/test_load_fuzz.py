"""Whatever a file holds, loading it ends in a plan or in errors with positions."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topology.workflow_files import function, llm, load, nodes

ROUTER = "- {id: r, type: router, routes: {x: y}, default_route: x, rules: [{when: input.x == 1, route: x}], dependencies: [a]}\n"
REVIEW = (
    "- {id: v, type: review, assignees: [x], dependencies: [r], when: r.route == 'x', form_schema: schemas/open.json}\n"
)
VALID = nodes(
    llm(
        "a",
        more=", output_schema: schemas/sure.json, params: {seed: 1}, min_confidence: 0.5, on_low_confidence: stop",
    )
    + function("b", "a", more=", idempotency_key: 'k-${a.id}', batch: {max_size: 2, max_wait_ms: 3}")
    + ROUTER
    + REVIEW
).replace("1.0.0", "1.0.0\n  budget: {max_tokens: 5000}")
PIECES = [
    "",
    " ",
    "\n",
    "  ",
    "-",
    "[",
    "]",
    "{",
    "}",
    ":",
    "null",
    "1.5",
    "&x ",
    "*x",
    "'",
    '"',
    "<<: ",
    "${",
    "é",
    "true",
    "[a]",
    "{a: b}",
]


def check(text: str) -> None:
    loaded = load(text)
    assert (loaded.plan is None) == bool(loaded.errors)
    for error in loaded.errors:
        assert error.line >= 1
        assert error.col >= 1
        assert error.message
        assert "\n" not in str(error)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=3)
)
def test_a_damaged_file(edits: list[tuple[int, int, str]]) -> None:
    text = VALID
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    check(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["a", "", "x.j2", "1 > 2", "${a.b}", "prompts/p.j2", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "type", "when", "x", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = [
    "id",
    "type",
    "model",
    "prompt_template",
    "output_schema",
    "handler",
    "dependencies",
    "join",
    "when",
    "max_retries",
    "params",
    "batch",
    "routes",
    "rules",
    "for_each",
]
NODE = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6).map(
    lambda node: {**node, "type": "router"} if "routes" in node else {**node, "type": "llm"}
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["id", "version", "budget", "input_schema"]), VALUES),
    st.lists(NODE | VALUES, max_size=4),
)
def test_a_file_of_the_wrong_types(workflow: dict[str, Any], listed: list[Any]) -> None:
    check(json.dumps({"workflow": {**workflow, "nodes": listed}}))


def test_the_file_that_is_damaged_is_valid() -> None:
    assert [str(error) for error in load(VALID.replace(", batch: {max_size: 2, max_wait_ms: 3}", "")).errors] == []
