"""What a handler may know about the attempt it runs in."""

from __future__ import annotations

import threading
from functools import cache

from opentelemetry.trace import Tracer, get_tracer
from structlog.typing import FilteringBoundLogger

from schemas.headers import TRACEPARENT
from streams.core.outcome import NodeInput
from streams.telemetry.log_context import trace_id_of
from topology.items import base_of

TRACER = "penstock.handlers"


@cache
def _tracer() -> Tracer:
    """Return the tracer of handlers: one for all, which turns to an SDK that is set up later by itself."""
    return get_tracer(TRACER)


class _GivenUp:
    """An event that few look at and hardly any waits for: a `threading.Event` is made for the first who does."""

    __slots__ = ("_event", "_set")
    _making = threading.Lock()

    def __init__(self) -> None:
        self._set = False
        self._event: threading.Event | None = None

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        if self._event is not None:
            self._event.set()

    def wait(self, seconds: float) -> bool:
        with self._making:
            event = self._event = self._event or threading.Event()
        if self._set:  # perhaps before there was an event to be set
            return True
        return event.wait(seconds)


class HandlerContext:
    """Identity of an attempt, a logger that carries it, a tracer, and whether it has been given up.

    The tracer is OpenTelemetry's; it does nothing unless traces are on.
    """

    __slots__ = ("_given_up", "_input", "_logger")

    def __init__(self, node_input: NodeInput, logger: FilteringBoundLogger) -> None:
        self._input = node_input
        self._logger = logger
        self._given_up = _GivenUp()

    def __repr__(self) -> str:
        return f"HandlerContext(run_id={self.run_id!r}, node={self.node!r}, epoch={self.epoch}, attempt={self.attempt})"

    @property
    def run_id(self) -> str:
        """The run."""
        return self._input.run_id

    @property
    def workflow_id(self) -> str:
        """The workflow."""
        return self._input.workflow_id

    @property
    def node(self) -> str:
        """The node; an item of a `for_each` node has its node's name."""
        return base_of(self._input.node)

    @property
    def epoch(self) -> int:
        """The epoch the node runs in."""
        return self._input.epoch

    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1."""
        return self._input.attempt

    @property
    def seq(self) -> int:
        """The attempt's number in its node's epoch: with run, node and epoch it names the attempt, after a crash, too."""
        return self._input.seq

    @property
    def idempotency_key(self) -> str | None:
        """What the node's `idempotency_key` came to."""
        return self._input.idempotency_key

    @property
    def tracer(self) -> Tracer:
        """OpenTelemetry's; it does nothing unless traces are on."""
        return _tracer()

    @property
    def logger(self) -> FilteringBoundLogger:
        """A logger that carries run, node, epoch, attempt and trace; bound when it is asked for, since few handlers log."""
        return _bound(self._logger, self._input)

    @property
    def cancelled(self) -> bool:
        """True once the attempt timed out or was cancelled: nobody waits for its result, a thread should stop.

        Async handlers are cancelled by an exception as usual; a thread cannot be, so it must look. A process is ended.
        """
        return self._given_up.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep in a thread, but no longer than the attempt lives; return whether it was given up."""
        return self._given_up.wait(seconds)

    def give_up(self) -> None:
        """Say that nobody waits any more."""
        self._given_up.set()


def context_of(node_input: NodeInput, logger: FilteringBoundLogger) -> HandlerContext:
    """Return the context of one attempt."""
    return HandlerContext(node_input, logger)


def _bound(logger: FilteringBoundLogger, node_input: NodeInput) -> FilteringBoundLogger:
    return logger.bind(
        run_id=node_input.run_id,
        node=node_input.node,
        epoch=node_input.epoch,
        attempt=node_input.attempt,
        **trace_id_of(node_input.headers.get(TRACEPARENT)),
    )
