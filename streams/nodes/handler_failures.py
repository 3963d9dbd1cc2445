"""Describe what a handler raised: where, what, and whether another attempt may help."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Iterable
from types import TracebackType

from streams.core.outcome import NodeError
from streams.errors import NonRetryable, RetryAfter
from streams.nodes.handler_loader import Handler
from streams.providers.redact import TRACEBACK_CHARS, cap_start, redact, safe_message

_FRAMES = 20
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


def failure_of(error: BaseException, handler: Handler, secrets: Iterable[str]) -> NodeError:
    """Return the NodeError of a raised exception, without secrets and of bounded size."""
    place = place_of(error, handler.folder) or handler.place
    message = safe_message(f"{place}: {type(error).__name__}: {_text(error)}", secrets)
    wait = error.seconds if isinstance(error, RetryAfter) else None
    return NodeError(
        kind="handler",
        message=message,
        retryable=not isinstance(error, NonRetryable),
        retry_after_ms=None if wait is None else _milliseconds(wait),
        traceback=traceback_of(error, secrets),
    )


def place_of(error: BaseException, folder: str | None) -> str | None:
    """Return `file:line` of the innermost frame in the handler's folder, else of the innermost one that is not ours."""
    frames = [entry for entry in traceback.extract_tb(error.__traceback__) if not entry.filename.startswith(_OURS)]
    theirs = [entry for entry in frames if folder is not None and entry.filename.startswith(folder + os.sep)]
    chosen = (theirs or frames)[-1:]
    return f"{chosen[0].filename}:{chosen[0].lineno}" if chosen else None


def traceback_of(error: BaseException, secrets: Iterable[str]) -> str:
    """Return the traceback's last frames, without ours, redacted and cut from the front."""
    described = traceback.TracebackException(type(error), error, _theirs(error.__traceback__), limit=-_FRAMES)
    return cap_start(redact("".join(described.format()), secrets), TRACEBACK_CHARS)


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text cannot be read)"


def _milliseconds(seconds: float) -> int:
    try:
        return math.ceil(max(0.0, float(seconds)) * 1000)
    except (TypeError, ValueError, OverflowError):
        return 0
