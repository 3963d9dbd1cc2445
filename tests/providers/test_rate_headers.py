"""`x-ratelimit-*` as providers send them, and the nonsense in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.providers.rate_headers import duration_ms, exhausted_for_ms
from streams.providers.retry_after import LONGEST_MS


def headers(requests: tuple[str, str] | None = None, tokens: tuple[str, str] | None = None) -> dict[str, str]:
    told = {}
    for what, limit in (("requests", requests), ("tokens", tokens)):
        if limit is not None:
            told[f"x-ratelimit-remaining-{what}"], told[f"x-ratelimit-reset-{what}"] = limit
    return told


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ({}, None),
        (headers(requests=("59", "1s"), tokens=("149984", "6m0s")), None),
        (headers(requests=("0", "1s"), tokens=("149984", "6m0s")), 1_000),
        (headers(requests=("59", "1s"), tokens=("0", "6m0s")), 360_000),
        (headers(requests=("0", "1s"), tokens=("0", "6m0s")), 360_000),
        (headers(requests=(" 0 ", "20ms")), 20),
        (headers(requests=("0", "0s")), 0),
        (headers(requests=("0", "soon")), None),
        (headers(requests=("none", "1s")), None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "1s"}, None),
    ],
)
def test_a_limit_that_is_used_up_tells_for_how_long(told: dict[str, str], wait: int | None) -> None:
    assert exhausted_for_ms(told) == wait


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1s", 1_000),
        ("6m0s", 360_000),
        ("20ms", 20),
        ("1.5s", 1_500),
        ("1h2m3s", 3_723_000),
        ("2m59.56s", 179_560),
        (" 1s ", 1_000),
        ("9999h", LONGEST_MS),
        ("9" * 400 + "s", LONGEST_MS),
        ("", None),
        ("12", None),
        ("-1s", None),
        ("1s later", None),
        ("1d", None),
        ("1 s", None),
    ],
)
def test_a_duration_is_read(text: str, ms: int | None) -> None:
    assert duration_ms(text) == ms


@given(st.one_of(st.text(), st.text("0123456789.hms ")))
def test_whatever_comes_is_a_duration_of_a_day_at_most_or_none(text: str) -> None:
    ms = duration_ms(text)
    assert ms is None or 0 <= ms <= LONGEST_MS
