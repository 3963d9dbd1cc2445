"""The schedule: the same for the same seed, with everything in it, and never against a worker that was just hit."""

from __future__ import annotations

import pytest

from benchmarks.chaos.schedule import KINDS, plan


def test_it_is_a_function_of_the_seed() -> None:
    assert plan(1, 180, 3) == plan(1, 180, 3)
    assert plan(1, 180, 3) != plan(2, 180, 3)


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("seconds", "workers"), [(75, 2), (180, 3), (600, 3)])
def test_every_kind_happens_in_time(seed: int, seconds: float, workers: int) -> None:
    events = plan(seed, seconds, workers)
    assert {event.kind for event in events} == set(KINDS)
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)
    assert events[-1].at_s < seconds
    assert {event.slot for event in events} <= {None, *range(workers + 1)}


def test_a_part_of_the_kinds() -> None:
    events = plan(1, 60, 2, only=("kill", "term"))
    assert {event.kind for event in events} == {"kill", "term"}
    assert {event.slot for event in events} == {0, 1}
