"""Logs go to stderr, and what Kafka's client says of its own recoveries goes nowhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from penstock.cli import errors


class Format(StrEnum):
    """How a line looks."""

    console = "console"
    json = "json"


class Level(StrEnum):
    """The least important lines that are written."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


_LEVELS = {level: getattr(logging, level.upper()) for level in Level}

LogFormat = Annotated[
    Format | None,
    typer.Option(
        "--log-format",
        envvar="PENSTOCK_LOG_FORMAT",
        help="How lines on stderr look. Default: console.",
        show_default=False,
    ),
]
LogLevel = Annotated[
    Level | None,
    typer.Option("--log-level", envvar="PENSTOCK_LOG_LEVEL", help="The least that is written.", show_default=False),
]

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
    _configure("console", logging.CRITICAL, logging.WARNING)


def worker(form: Format | None = None, level: Level | None = None) -> None:
    """Log what a worker's operator should know."""
    _configure(form or Format.console, logging.WARNING, _LEVELS[level or Level.info])


def one_go(form: Format | None = None, level: Level | None = None) -> None:
    """Log what stands in the way of a worker that somebody waits for."""
    _configure(form or Format.console, logging.ERROR, _LEVELS[level or Level.warning])


def _configure(form: str, libraries: int, ours: int) -> None:
    """Have both loggers write alike: structlog's, which is ours and the handlers', and the standard one of the libraries."""
    import structlog

    from streams.telemetry.log_context import add_attempt

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_attempt,
        _withheld,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering = _rendering(form)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(ours),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_News())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(level=libraries, handlers=[handler], force=True)
    for name in ("aiokafka", "kafka", "asyncio", "httpx", "openai", "faust", "mode", "opentelemetry"):
        logging.getLogger(name).setLevel(libraries)
    errors.say_with(_said if form == Format.json else None)


def _rendering(form: str) -> list[Any]:
    import structlog

    if form == Format.json:
        text: Any = structlog.processors.JSONRenderer(_json)
    else:
        text = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return [structlog.processors.format_exc_info, text, redacted]


_secrets: set[str] = set()


def hide(secrets: Iterable[str]) -> None:
    """Keep these out of every line; those of the environment are known."""
    _secrets.update(secrets)


_QUOTING = (("attempt failed", "why"), ("node_bug", "error"))
"""Lines and the part of them that may quote a payload: what a handler raised."""
_withhold = False


def withhold_quotes() -> None:
    """Leave out of every line what may quote a payload, from now on: where those are encrypted, the log must not tell them."""
    global _withhold  # noqa: PLW0603 - logging is of the process, too
    _withhold = True


def _withheld(_: object, __: str, event: Any) -> Any:
    """Leave out quotes if that is asked for (a structlog processor)."""
    for line, part in _QUOTING if _withhold else ():
        if event.get("event") == line and part in event:
            return {**event, part: "(withheld: encryption is on)"}
    return event


def redacted(_: object, __: str, line: str) -> str:
    """Mask what is or looks like a secret in a line (a structlog processor)."""
    from streams.providers.redact import redact

    return redact(line, _secrets)


def _json(event: Any, **_: Any) -> str:
    """Return a line of JSON."""
    import orjson

    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS, default=repr).decode()


def _said(line: str) -> None:
    """Write what a command says as a line like the others."""
    import structlog

    structlog.get_logger("penstock").info(line)
