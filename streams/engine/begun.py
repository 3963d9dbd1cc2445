"""A coroutine that has begun: what never waits is done at once, and nobody sets a timer for it."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """Runs `work` up to its first wait, in the task that makes this; `await` it for the rest."""

    __slots__ = ("_waits_for", "_work", "done", "result")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self.done, self.result = False, None
        try:
            self._waits_for = work.send(None)
        except StopIteration as end:
            self.done, self.result = True, end.value

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand on what the work waits for to the loop, and what comes of it to the work."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    came = yield waits_for
                except GeneratorExit:
                    self._work.close()
                    raise
                except BaseException as error:
                    waits_for = self._work.throw(error)
                else:
                    waits_for = self._work.send(came)
        except StopIteration as end:
            result: T = end.value
            return result
