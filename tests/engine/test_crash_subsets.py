"""A crash with any subset of a batch's acknowledgements, enumerated (PROTOCOL.md 2): not only what came first is durable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from streams.testing import TopologyTestDriver
from tests.engine.scripts import End, Step, Story, end_of, repeated
from tests.engine.test_crash_enumeration import STORIES, outcome_of

MOST_RECORDS = 7
"""A larger append is cut to the subsets that lose one record or keep one: 2**n of them would take minutes."""


def subsets(size: int) -> Iterator[frozenset[int]]:
    if size <= MOST_RECORDS:
        for mask in range(2**size):
            yield frozenset(index for index in range(size) if mask >> index & 1)
        return
    for index in range(size):
        yield frozenset({index})
        yield frozenset(range(size)) - {index}


def play(driver: TopologyTestDriver, steps: Sequence[Step], at: int, append: int, keep: frozenset[int]) -> None:
    for index, step in enumerate(steps):
        step.write(driver)
        if index == at:
            driver.log.fail_in, driver.log.keep = append, keep
        step.run(driver)
        driver.log.fail_in = None


def crashed(story: Story, at: int, append: int, keep: frozenset[int], outlives: bool) -> tuple[End, int, int | None]:
    """Return the end, how many executions were repeated, and how large the append was (None: there was none)."""
    with story.driver() as driver:
        driver.outlives = outlives
        play(driver, story.steps, at, append, keep)
        return end_of(driver), repeated(driver), driver.log.last_size if driver._lives > 1 else None


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_with_any_subset_of_acknowledgements_changes_nothing(name: str) -> None:
    _nothing_changes(name, outlives=False)


@pytest.mark.parametrize("name", [name for name in STORIES if "budget" in name])
def test_nor_does_it_where_its_writer_takes_over_again(name: str) -> None:
    """What another worker fenced in some of the changelogs does not count there; a reservation, say."""
    _nothing_changes(name, outlives=True)


def _nothing_changes(name: str, outlives: bool) -> None:
    story = STORIES[name]
    expected, _, _ = outcome_of(story)
    for at in range(len(story.steps)):
        append = 0
        while (size := crashed(story, at, append, frozenset(), outlives)[2]) is not None:
            for keep in subsets(size):
                found, again, _ = crashed(story, at, append, keep, outlives)
                assert found == expected, f"step {at}, append {append}, kept {sorted(keep)} of {size}"
                assert again <= 1
            append += 1
