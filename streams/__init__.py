"""What runs: pure decisions in `core`, one file per node kind in `nodes`, model access in `providers`, Kafka in `engine`."""

from streams.errors import NonRetryable, RetryAfter

__all__ = ["NonRetryable", "RetryAfter"]
