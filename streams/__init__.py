"""What runs: pure decisions in `core`, one file per node kind in `nodes`, model access in `providers`, Kafka in `engine`."""

from typing import TYPE_CHECKING, Any

from streams.errors import NonRetryable, RetryAfter

if TYPE_CHECKING:
    from streams.nodes.context import HandlerContext

__all__ = ["HandlerContext", "NonRetryable", "RetryAfter"]


def __getattr__(name: str) -> Any:
    """Import `HandlerContext` when it is asked for: it comes with every node kind, which `core` must not wait for."""
    if name != "HandlerContext":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from streams.nodes.context import HandlerContext

    return HandlerContext
