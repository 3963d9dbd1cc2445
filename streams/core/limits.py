"""What a record may hold. Checked where data comes in, so that nothing is ever too large to be written: that would stop a worker for good."""

from __future__ import annotations

from topology.limits import LARGE

MAX_OUTPUT_BYTES = LARGE.output
"""One output: it is copied into the rows of the nodes that read it."""

MAX_ROW_BYTES = LARGE.row
"""The inputs gathered in one row, or the sink outputs in a run's; topics take 16 MB."""

MAX_MESSAGE = 8_000
MAX_TRACEBACK = 16_000
MAX_RAW = 64_000
MAX_KEY = 1_000
"""Characters of an error's message and traceback, of a model's raw answer, of an idempotency key."""


def size_of(text: str | None) -> int:
    """Return the bytes of JSON text, 0 for None."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def cut(text: str | None, limit: int) -> str | None:
    """Return text that can be encoded (it may quote a file name with a lone surrogate) and is no longer than `limit`."""
    if text is None:
        return None
    whole = text.encode(errors="replace").decode()
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"
