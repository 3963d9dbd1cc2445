"""What people touch, and what their handlers import: `from penstock import HandlerContext, NonRetryable, RetryAfter`."""

from typing import TYPE_CHECKING, Any

from streams.errors import NonRetryable, RetryAfter

if TYPE_CHECKING:
    from streams.nodes.context import HandlerContext

__all__ = ["HandlerContext", "NonRetryable", "RetryAfter"]


def __getattr__(name: str) -> Any:
    """Import `HandlerContext` when it is asked for: commands that only read a file must start fast."""
    if name != "HandlerContext":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from streams.nodes.context import HandlerContext

    return HandlerContext
