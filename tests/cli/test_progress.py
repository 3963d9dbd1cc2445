"""How far long work is, in words."""

from __future__ import annotations

import pytest

from penstock.cli.progress import progress, said


@pytest.mark.parametrize(
    ("done", "total", "rate", "text"),
    [
        (0, 500, 0.0, "0 of 500 runs ended"),
        (100, 500, 40.0, "100 of 500 runs ended, 40.0 a second, 10 s to go"),
        (500, 500, 40.0, "500 of 500 runs ended, 40.0 a second"),
        (7, None, 0.5, "7 runs ended, 0.5 a second"),
    ],
)
def test_rate_and_time_to_go(done: int, total: int | None, rate: float, text: str) -> None:
    assert said(done, total, rate) == text


def test_elsewhere_than_on_a_terminal_the_end_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("intake", 3) as advance:
        for done in (1, 2, 3):
            advance(done)
    out, err = capsys.readouterr()
    assert (out, err.count("intake: 3 of 3 runs ended"), err.count("\n")) == ("", 1, 2)
