"""Tracebacks for the log: where, and not what with: local variables hold inputs and prompts."""

from __future__ import annotations

import traceback


def trace_of(error: BaseException) -> str:
    """Return the traceback of an error as text, without the values of variables."""
    return "".join(traceback.format_exception(error))
