"""Quick dataclasses are what their plain ones are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest

from schemas.quick import quick, replace


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    name: str
    numbers: tuple[int, ...] = ()
    notes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plain:
    name: str
    number: int = 0


def test_it_is_made_with_its_defaults() -> None:
    assert Quick("a") == Quick("a", (), {})
    assert Quick("a", notes={"b": 1}) == Quick(name="a", numbers=(), notes={"b": 1})
    assert Quick("a").notes is not Quick("a").notes


def test_a_field_without_a_default_must_be_given() -> None:
    with pytest.raises(TypeError, match="name"):
        Quick()  # type: ignore[call-arg]


def test_replace_changes_a_copy() -> None:
    before = Quick("a", (1,))
    after = replace(before, numbers=(2,))
    assert (before, after) == (Quick("a", (1,)), Quick("a", (2,)))
    assert dataclasses.replace(before, numbers=(2,)) == after


def test_replace_refuses_a_field_that_is_none() -> None:
    with pytest.raises(TypeError, match="other"):
        replace(Quick("a"), other=1)  # type: ignore[call-arg]


def test_replace_takes_plain_dataclasses_too() -> None:
    assert replace(Plain("a"), number=1) == Plain("a", 1)


def test_it_is_hashed_by_its_fields() -> None:
    assert hash(dataclasses.replace(Quick("a"), notes=())) == hash(Quick("a", (), ()))  # type: ignore[arg-type]
