"""Every seam and every count of appends: wherever the worker dies, the end is the end of the run without a crash (PROTOCOL.md 2)."""

from __future__ import annotations

from typing import Any

import pytest

from streams.testing import SEAMS
from tests.engine.scripts import (
    End,
    Story,
    advance,
    broken,
    cancel,
    echo,
    end_of,
    fixed_by_an_edit,
    flaky,
    frugal,
    frugal_at_last,
    never_open,
    pipe,
    play,
    put_off,
    redrive,
    repeated,
    replay,
    start,
    unheard,
    unsure,
)
from tests.engine.stories_of_kinds import STORIES as KINDS
from tests.plans import CHAIN, DIAMOND, llm
from topology.plan import Budget

WIDE = {"a": (), "b": (), "c": ("a", "b"), "d": ("a", "b"), "e": ("c", "d")}
STORIES = {
    "chain": Story(CHAIN, [start()]),
    "diamond": Story(DIAMOND, [start()]),
    "diamond of two runs": Story(DIAMOND, [start("r1"), start("r2")]),
    "retry": Story(CHAIN, [start(), advance(1)], {"b": flaky(2)}),
    "two retries at once": Story(DIAMOND, [start(), advance(1)], {"extract": flaky(1), "sentiment": flaky(2)}),
    "exhausted": Story(CHAIN, [start(), advance(1)], {"b": flaky(9)}),
    "broken for good": Story(CHAIN, [start()], {"b": broken}),
    "skipped by its condition": Story(CHAIN, [start()], nodes={"b": {"when": "input.n == 2"}}),
    "a condition that errs": Story(CHAIN, [start()], nodes={"b": {"when": "input.nothing.at.all"}}),
    "any_success": Story(
        WIDE, [start(), advance(1)], {"a": broken, "b": flaky(1)}, {n: {"join": "any_success"} for n in "cde"}
    ),
    "all_done": Story(WIDE, [start()], {"a": broken, "c": broken}, {n: {"join": "all_done"} for n in "cde"}),
    "the same input twice": Story(CHAIN, [start(), start()]),
    "another input under the same id": Story(CHAIN, [start(), start(value={"n": 2})]),
    "poison": Story(CHAIN, [pipe("input", b"\xff\xfe", key="r1"), pipe("input", b"{", key="r1"), start()]),
    "cancelled before it started": Story(CHAIN, [cancel(), start()]),
    "cancelled after its end": Story(CHAIN, [start(), cancel()]),
    "redriven": Story(CHAIN, [start(), redrive("b", edit={"input": {"ok": True}})], {"b": fixed_by_an_edit}),
    "redriven twice": Story(
        CHAIN,
        [start(), redrive("b", edit={"input": {"ok": True}}), redrive("b", epoch=0)],
        {"b": fixed_by_an_edit},
    ),
    "redriven in vain, then well": Story(
        DIAMOND,
        [start(), redrive("extract"), redrive("extract", edit={"input": {"ok": True}})],
        {"extract": fixed_by_an_edit},
    ),
    "two failures, redriven one by one": Story(
        DIAMOND,
        [
            start(),
            redrive("extract", epoch=0, edit={"input": {"ok": True}}),
            redrive("sentiment", epoch=0, edit={"input": {"ok": True}}),
        ],
        {"extract": fixed_by_an_edit, "sentiment": fixed_by_an_edit},
    ),
    "redriven while it runs": Story(
        DIAMOND,
        [start(), redrive("extract", edit={"input": {"ok": True}}), advance(1)],
        {"extract": fixed_by_an_edit, "sentiment": flaky(1)},
    ),
    "redriven before it started": Story(CHAIN, [redrive("b"), start()], {"b": broken}),
    "redrives that are refused": Story(
        CHAIN, [start(), redrive("a"), redrive("b", edit={"nobody": 1}), redrive("b", run_id="r9")]
    ),
    "deferred": Story(CHAIN, [start(), advance(2)], {"b": put_off}, {"b": llm()}),
    "an open breaker": Story(CHAIN, [start()], {"b": never_open}, {"b": llm("m1", "m2")}),
    "fallback after retries": Story(
        CHAIN,
        [start(), advance(1)],
        {"b": lambda i: echo(i) if i.model == "m2" else flaky(9)(i)},
        {"b": llm("m1", "m2")},
    ),
    "unsure, so it stops": Story(WIDE, [start()], {"a": unsure}, {"a": llm(), "c": {"join": "all_done"}}),
    "unsure, so another is asked": Story(
        CHAIN, [start()], {"b": unsure}, {"b": llm("m1", "m2", on_low_confidence="fallback")}
    ),
    "within its budget": Story(
        DIAMOND,
        [start(), advance(1)],
        {"classify": frugal, "extract": frugal_at_last, "sentiment": unheard, "summarize": frugal},
        {n: llm() for n in DIAMOND},
        {"budget": Budget(10_000, 1.0), "daily_budget": Budget(100_000, None)},
    ),
    "too dear for the first model": Story(
        CHAIN, [start()], dict.fromkeys(CHAIN, frugal), {"b": llm("m1", "m2")}, {"budget": Budget(None, 0.0001)}
    ),
    "too dear": Story(CHAIN, [start()], {"b": frugal}, {"b": llm()}, {"budget": Budget(120, None)}),
    # Without a node below: whether that one is cancelled or skipped is a race, as after any cancel.
    "out of time": Story({"a": (), "b": ("a",)}, [start(), advance(1)], {"b": flaky(9)}, plan={"deadline_ms": 1_500}),
    "in time": Story(CHAIN, [start(), advance(1)], {"b": flaky(1)}, plan={"deadline_ms": 30_000}),
    "replayed while a background node waits for its next attempt": Story(
        CHAIN, [start(), replay(node="b"), advance(1)], {"c": flaky(1)}, {"c": {"background": True}}
    ),
    **KINDS,
}


def outcome_of(story: Story, **crash: Any) -> tuple[End, int, bool]:
    """Return the end, how many executions were repeated, and whether the worker died."""
    with story.driver() as driver:
        play(driver, story.steps, **crash)
        return end_of(driver), repeated(driver), driver._lives > 1


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_after_any_append_changes_nothing(name: str) -> None:
    """Not one record, not one field of a row; at most the one attempt in flight is made again."""
    story = STORIES[name]
    expected, none, _ = outcome_of(story)
    assert none == 0
    assert expected.output or expected.dead
    for at in range(len(story.steps)):
        appends, crashed = 0, True
        while crashed:
            found, again, crashed = outcome_of(story, appends=appends, at=at)
            assert found == expected, f"step {at}, crash after {appends} appends"
            assert again <= 1
            appends += 1


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_seam_changes_nothing(name: str, seam: str) -> None:
    """The first time each seam is passed, in every step."""
    story = STORIES[name]
    expected, _, _ = outcome_of(story)
    for at in range(len(story.steps)):
        found, again, _ = outcome_of(story, seam=seam, at=at)
        assert found == expected, f"step {at}"
        assert again <= (seam == "executed")


def test_a_timer_row_does_not_outlive_its_retry() -> None:
    """Nor does a crash anywhere leave one behind."""
    expected, _, _ = outcome_of(STORIES["exhausted"])
    assert expected.rows["timers"] == {}
