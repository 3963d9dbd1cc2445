"""Every form of Retry-After, and the nonsense in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.providers.retry_after import LONGEST_MS, retry_after_ms

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2_000),
        ({"retry-after": "0.5"}, 500),
        ({"retry-after-ms": "120"}, 120),
        ({"retry-after-ms": "120", "retry-after": "9"}, 120),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9_000),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30_000),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 -0000"}, 30_000),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "999999999"}, LONGEST_MS),
        ({"retry-after": "Thu, 01 Jan 99999 12:00:00 GMT"}, None),
    ],
)
def test_it_is_read(headers: dict[str, str], expected: int | None) -> None:
    assert retry_after_ms(headers, NOW) == expected
