"""The world that the patterns meet: what is drawn, how often, and what counts as a success."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.patterns.documents import NEEDS, STEPS, judge, make_document
from benchmarks.patterns.model import RATES, SURE_AND_WRONG, WEAK, fate, right_next

DOCUMENT = make_document(1, 7)
RIGHT = {step: {**answer, "confidence": 0.9} for step, answer in DOCUMENT.truth.items()}


@given(st.integers(0, 99_999), st.sampled_from(STEPS), st.integers(1, 9))
def test_the_same_try_has_the_same_fate_whoever_asks(number: int, step: str, nth: int) -> None:
    document = make_document(3, number)
    large = fate(3, 1.0, document, step, nth, "gpt-4o", {})
    assert fate(3, 1.0, make_document(3, number), step, nth, "gpt-4o-2024-08-06", {}) == large
    small = fate(3, 1.0, document, step, nth, "gpt-4o-mini", {})
    assert small.fault == large.fault  # the models differ in what they know, in nothing else
    assert small.kind == "weak" if large.kind == "weak" else True  # what the large one gets wrong, the small one does


@pytest.mark.parametrize("level", [0.5, 1.0, 2.0])
def test_faults_are_as_frequent_as_written(level: float) -> None:
    kinds = Counter(
        fate(1, level, make_document(1, number), step, 1, "gpt-4o", {}).kind
        for number in range(2_000)
        for step in STEPS
    )
    calls = 2_000 * len(STEPS)
    for name, rate in RATES.items():
        assert kinds[name] / calls == pytest.approx(rate * level, rel=0.35), name
    assert kinds["sure_and_wrong"] <= calls * SURE_AND_WRONG * level * 5
    assert kinds["weak"] / calls == pytest.approx(WEAK["large"] * level, rel=0.35)


def test_the_chain_loses_what_it_believes() -> None:
    believed = WEAK["large"] + RATES["schema_break"] + SURE_AND_WRONG + 0.01 * 0.35
    assert (1 - believed) ** len(STEPS) == pytest.approx(0.682, abs=0.02)


def test_only_the_whole_truth_is_a_success() -> None:
    assert judge(DOCUMENT, RIGHT) is None
    assert judge(DOCUMENT, None) == "no result"
    for step in STEPS:
        missing = {name: answer for name, answer in RIGHT.items() if name != step}
        assert judge(DOCUMENT, missing) == f"{step}: missing"
        assert judge(DOCUMENT, {**RIGHT, step: {**RIGHT[step], "more": 1}}) == f"{step}: breaks its schema"


@given(st.integers(0, 9_999), st.sampled_from(STEPS), st.integers(1, 3))
def test_a_wrong_answer_is_valid_and_judged_wrong(number: int, step: str, nth: int) -> None:
    document = make_document(1, number)
    drawn = fate(1, 8.0, document, step, nth, "gpt-4o-mini", {})
    right = {name: {**answer, "confidence": 0.9} for name, answer in document.truth.items()}
    verdict = judge(document, {**right, step: drawn.said})
    assert verdict in ((None,) if drawn.said.items() >= document.truth[step].items() else (f"{step}: wrong",))


def test_the_router_of_a_mesh_is_told_who_can_act() -> None:
    assert right_next({}) == ["classify", "parties", "amounts", "risk"]
    assert right_next({"done": ["classify"], "running": ["parties", "amounts", "risk"]}) == []
    assert right_next({"done": sorted(NEEDS["decide"]), "running": ["parties"]}) == ["decide"]
    assert right_next({"done": STEPS}) == ["finish"]
