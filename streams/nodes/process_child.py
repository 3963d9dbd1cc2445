"""The inside of a handler process: loads one handler, then calls it for whatever comes in, one attempt after the other.

It ends when its pipe does, in the middle of a call too: whoever started it is gone then, even if by kill -9.
"""

from __future__ import annotations

import inspect
import io
import os
import pickle
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from streams.core.outcome import Outcome
from streams.errors import HandlerImportError
from streams.nodes.context import context_of
from streams.nodes.function import outcome_of
from streams.nodes.handler_call import call_here
from streams.nodes.handler_loader import Handler, load_handler
from streams.nodes.json_output import NotJson, json_object
from streams.nodes.process_frames import HEAD_BYTES, Call, Hello, Logged, frame, length_of, value_of


class Child:
    """One handler process, from within."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._writing = threading.Lock()
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._logger: FilteringBoundLogger = structlog.wrap_logger(
            None,
            processors=[structlog.processors.format_exc_info, self._hand_over],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )

    def serve(self, hello: Hello) -> None:
        """Answer calls for ever: the thread that reads them ends the process."""
        try:
            handler = load_handler(hello.plan, hello.workflow_id, tuple(Path(path) for path in hello.module_paths))
        except HandlerImportError as error:
            self._reply(str(error))
            return
        threading.Thread(target=self._read, name="penstock-requests", daemon=True).start()
        self._reply(None)
        while True:
            self._reply(self._outcome(handler, self._calls.get(), hello.secrets))

    def receive(self) -> Any:
        """Return the next value; the process ends here when there is none."""
        head = self._requests.read(HEAD_BYTES)
        body = self._requests.read(length_of(head)) if len(head) == HEAD_BYTES else b""
        if not body:
            os._exit(0)
        return value_of(body)

    def _read(self) -> None:
        while True:
            self._calls.put(self.receive())

    def _outcome(self, handler: Handler, call: Call, secrets: frozenset[str]) -> Outcome:
        returned = call_here(handler, json_object, call.inputs, context_of(call.node_input, self._logger))
        if inspect.isawaitable(returned):
            close = getattr(returned, "close", None)
            if close is not None:
                close()  # it is never awaited, which Python would warn of
            returned = NotJson("something to await: executor: process is for plain functions")
        return outcome_of(returned, handler, secrets)

    def _hand_over(self, logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        self._reply(Logged(level, {key: _portable(value) for key, value in event.items()}))
        raise structlog.DropEvent

    def _reply(self, value: Any) -> None:
        with self._writing:
            self._replies.write(frame(value))
            self._replies.flush()


def _portable(value: Any) -> Any:
    """Return a value that the worker can unpickle without the handler's modules."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    try:
        return repr(value)
    except Exception:
        return "(it has no repr)"


def main() -> None:
    """Run as a handler process: the pipes are where stdin and stdout were, which the handler must not touch."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # stdout belongs to whoever started the worker; what a handler prints is seen on stderr
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # it took itself for a pipe: what it held back would die with it
    for number in (signal.SIGINT, signal.SIGTERM):
        # Meant for the worker, which drains: it still wants this call's result. Not SIG_IGN, which subprocesses would inherit.
        signal.signal(number, lambda *_: None)
    child = Child(requests, replies)
    hello: Hello = child.receive()
    sys.path[:] = hello.path
    try:
        child.serve(hello)
    except (BrokenPipeError, pickle.PicklingError):
        os._exit(1)
