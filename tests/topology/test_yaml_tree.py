from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.yaml_tree import parse_yaml


def problems(text: str) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.col, problem.message) for problem in parse_yaml(text).problems]


def test_scalars_follow_yaml_1_2() -> None:
    text = "[1, -2, 0x1F, 0o17, 2.5, 1e3, .5, true, False, ~, null, no, yes, on, 2024-01-01, 1_000, '1', \"a\\nb\", !!str 1]"
    values = [1, -2, 31, 15, 2.5, 1000.0, 0.5, True, False, None, None]
    assert parse_yaml(text).data == [*values, "no", "yes", "on", "2024-01-01", "1_000", "1", "a\nb", "1"]


def test_positions_are_one_based() -> None:
    marks = parse_yaml("a:\n  - b: 1\n    c: [x, y]\n").marks
    assert marks.key(("a",)) == (1, 1)
    assert marks.value(("a", 0)) == (2, 5)
    assert marks.key(("a", 0, "c")) == (3, 5)
    assert marks.value(("a", 0, "c", 1)) == (3, 12)


def test_a_path_without_a_place_has_that_of_what_holds_it() -> None:
    marks = parse_yaml("a: &x {b: 1}\nc: *x\n").marks
    assert marks.value(("c", "b")) == (2, 4)
    assert marks.key(("c", "nope", 3)) == (2, 4)


def test_merge_keys_give_way_to_explicit_ones() -> None:
    tree = parse_yaml("d: &d {x: 1, y: 2}\ne: &e {z: 9}\nn:\n  y: 3\n  <<: [*d, *e]\n")
    assert tree.data["n"] == {"y": 3, "x": 1, "z": 9}
    assert tree.marks.key(("n", "x")) == (5, 3)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2\n  c: 3\n", [(3, 4, "YAML: mapping values are not allowed here")]),
        ("a: [1, 2\n", [(2, 1, "YAML: expected ',' or ']', but got '<stream end>', while parsing a flow sequence")]),
        (
            "a:\n\t- b\n",
            [(2, 1, "YAML: found character '\\t' that cannot start any token, while scanning for the next token")],
        ),
        ("a: 1\n---\nb: 2\n", [(2, 1, "a second document begins here: a file holds one")]),
        (
            "a: 1\nb: 2\na: 3\na: 4\n",
            [(3, 1, "duplicate key 'a' (first on line 1)"), (4, 1, "duplicate key 'a' (first on line 1)")],
        ),
        ("a: *x\n", [(1, 4, "alias *x stands for nothing before it, or for itself")]),
        ("a: &x [*x]\n", [(1, 8, "alias *x stands for nothing before it, or for itself")]),
        (
            "1: a\ntrue: b\n",
            [
                (1, 1, "a key must be a string: write '1' in quotes"),
                (2, 1, "a key must be a string: write 'true' in quotes"),
            ],
        ),
        ("? [a]\n: b\n", [(1, 3, "a key must be a string")]),
        (
            "a: !!python/object:os.system x\n",
            [(1, 4, "the tag tag:yaml.org,2002:python/object:os.system has no meaning here")],
        ),
        ("a: " + "9" * 5000, [(1, 4, "this number has too many digits")]),
        ("a: 1\nb: \x00c\n", [(2, 4, "the character '\\x00' is not allowed in YAML")]),
        ("a:\n  <<: 5\n", [(2, 3, "'<<' takes a mapping or a list of mappings")]),
    ],
)
def test_problems_have_their_position(text: str, found: list[tuple[int, int, str]]) -> None:
    assert problems(text) == found


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, letter in zip(string.ascii_lowercase[:20], string.ascii_lowercase[1:21], strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "more than 20000 values (aliases count as what they stand for)"),
        (
            "a: &a {" + ",".join(f"k{i}: 1" for i in range(3000)) + "}\nb:\n" + "  - <<: *a\n" * 3000,
            "more than 20000 values",
        ),
        ("[" * 500_000, "nested more than 60 deep"),
        ("- " * 300_000, "nested more than 60 deep"),
        ("{a: " * 200_000, "nested more than 60 deep"),
        ("[" + "1," * 400_000 + "]", "more than 20000 values"),
        ("? " * 300_000, "a key must be a string"),
    ],
)
def test_bombs_are_refused_before_they_are_built(text: str, message: str) -> None:
    assert message in problems(text)[0][2]


@given(st.text(alphabet="ab:-?[]{}&*!|>'\"#%@`,.~<\n \t\\1", max_size=80))
def test_any_text_is_a_tree_or_has_problems(text: str) -> None:
    tree = parse_yaml(text)
    for problem in tree.problems:
        assert problem.line >= 1
        assert problem.col >= 1
        assert len(problem.message) <= 400


@given(st.text(max_size=40))
def test_any_unicode_is_a_tree_or_has_problems(text: str) -> None:
    parse_yaml(text)
