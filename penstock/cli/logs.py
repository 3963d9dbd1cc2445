"""Logs go to stderr, and what Kafka's client says of its own recoveries goes nowhere."""

from __future__ import annotations

import logging
import sys

RECOVERING = (
    "CoordinatorNotAvailable",
    "CoordinatorLoadInProgress",
    "GroupLoadInProgress",
    "NotCoordinator",
    "Marking the coordinator dead",
    "NotLeaderForPartition",
    "LeaderNotAvailable",
    "Heartbeat failed",
)
"""Said as errors by aiokafka while topics and the group's coordinator are new or move; it tries again by itself."""


REPEAT_AFTER_S = 10.0


class _News(logging.Filter):
    """Lets through what is news: no recoveries, and the same line again only after a while (aiokafka can say it 1000 times a second)."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to log the record."""
        said = record.getMessage()
        if any(word in said for word in RECOVERING):
            return False
        last = self._said.get(said)
        if last is not None and record.created < last + REPEAT_AFTER_S:
            return False
        if len(self._said) > 1000:
            self._said.clear()
        self._said[said] = record.created
        return True


def quiet() -> None:
    """Log nothing of the libraries: for commands that answer at once and say themselves what is wrong."""
    _send_to_stderr(logging.CRITICAL)
    _structured(logging.WARNING)


def worker() -> None:
    """Log what a worker's operator should know."""
    _send_to_stderr(logging.WARNING)
    _structured(logging.INFO)


def one_go() -> None:
    """Log what stands in the way of a worker that somebody waits for."""
    _send_to_stderr(logging.ERROR)
    _structured(logging.WARNING)


def _send_to_stderr(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_News())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("aiokafka", "kafka", "asyncio", "httpx", "openai", "faust", "mode"):
        logging.getLogger(name).setLevel(level)


def _structured(level: int) -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
