"""JSON merge patch as RFC 7396 has it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.merge_patch import merge_patch

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3))
NAMES = st.sampled_from("abc")
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner)), max_leaves=12
)


@pytest.mark.parametrize(  # RFC 7396, appendix A
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc(target: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(target, patch) == expected


@given(VALUES, VALUES)
def test_nothing_given_is_changed(target: Any, patch: Any) -> None:
    before = deepcopy((target, patch))
    merge_patch(target, patch)
    assert (target, patch) == before


@given(VALUES, VALUES)
def test_a_second_time_changes_nothing(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(VALUES, st.dictionaries(NAMES, VALUES))
def test_a_member_the_patch_does_not_name_stays(target: Any, patch: dict[str, Any]) -> None:
    kept = {name: value for name, value in target.items() if name not in patch} if isinstance(target, dict) else {}
    merged = merge_patch(target, patch)
    assert {name: value for name, value in merged.items() if name not in patch} == kept
    assert not any(name in merged for name, value in patch.items() if value is None)
