"""What honest runs leave has no violation: with crashes anywhere, in the middle, and after their state was dropped."""

from __future__ import annotations

import pytest

from streams.testing import SEAMS
from tests.audit.logs import STORIES, log_of


@pytest.mark.parametrize("name", STORIES)
def test_an_honest_log_has_no_violation(name: str) -> None:
    assert log_of(name).audit().violations == ()


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("name", STORIES)
def test_nor_has_one_with_a_crash_at_any_seam(name: str, seam: str) -> None:
    for at in range(len(STORIES[name].steps)):
        report = STORIES[name].log(seam=seam, at=at).audit()
        assert report.violations == (), f"step {at}"
        assert report.figures.repeated <= (seam == "executed")


@pytest.mark.parametrize("name", STORIES)
def test_nor_has_one_with_a_crash_in_the_middle_of_an_append(name: str) -> None:
    for at in range(len(STORIES[name].steps)):
        for appends in range(0, 30, 3):
            assert STORIES[name].log(appends=appends, at=at).audit().violations == (), f"step {at}, {appends} appends"


def test_figures() -> None:
    figures = log_of("failed").audit().figures
    assert (figures.inputs, figures.runs, figures.results, figures.dead_letters) == (1, 1, 1, 1)
    assert (figures.executions, figures.repeated, figures.lag, figures.timers) == (4, 0, 0, 0)
    figures = log_of("waiting").audit().figures
    assert (figures.runs, figures.results, figures.waiting, figures.waiting_retry, figures.timers) == (1, 0, 1, 1, 1)
    figures = log_of("conflict").audit().figures
    assert (figures.inputs, figures.runs, figures.refused) == (2, 1, 1)
    figures = log_of("twice").audit().figures
    assert (figures.inputs, figures.runs, figures.repeated_inputs) == (2, 1, 1)
    figures = log_of("retired").audit().figures
    assert (figures.runs, figures.results, figures.retired) == (1, 1, 1)


def test_repeats_of_a_crash_are_figures() -> None:
    """A crash between a result and its row writes the result again in the driver, which does not read the output topic."""
    found = [STORIES["chain"].log(appends=n).audit() for n in range(20)]
    assert {report.violations for report in found} == {()}
    assert max(report.figures.repeated_results for report in found) == 1
    assert max(report.figures.repeated for report in found) == 0
