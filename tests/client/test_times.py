"""Where reading begins."""

from datetime import datetime

import pytest

from penstock.client.times import begin_of

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("-30s", NOW - 30_000),
        ("-2h", NOW - 7_200_000),
        ("-7d", NOW - 7 * 86_400_000),
        ("-999999999w", 0),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:01+01:00", 1000),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_begin(text: str, expected: object) -> None:
    assert begin_of(text, NOW) == expected


def test_a_time_without_a_zone_is_local() -> None:
    assert begin_of("2026-05-01T12:00:00", NOW) == int(datetime(2026, 5, 1, 12).timestamp() * 1000)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "2h", "-2y", "-h", "yesterday", "2026-13-01", "0"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        begin_of(text, NOW)
