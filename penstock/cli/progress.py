"""How far long work is, on stderr: a bar on a terminal, a line now and then elsewhere. With rate and time to go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.cli.errors import say

if TYPE_CHECKING:
    from rich.progress import Progress

TOLD_S = 2.0
"""Between two lines."""


Advance = Callable[[int], None]
"""Takes how many runs have ended."""


@contextmanager
def progress(workflow: str, total: int | None) -> Iterator[Advance]:
    """Yield what is to be told of progress; `total` None: without an end."""
    if sys.stderr.isatty():
        with _bar(workflow, total) as advance:
            yield advance
    else:
        lines = _Lines(workflow, total)
        lines.last()  # that it has begun: the first run may take long
        yield lines
        lines.last()


@contextmanager
def _bar(workflow: str, total: int | None) -> Iterator[Advance]:
    with _rich() as shown:
        task = shown.add_task(workflow, total=total)
        yield lambda done: shown.update(task, completed=done)


def _rich() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f}/s", style="progress.data.speed")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        Rate(),
        TimeElapsedColumn(),
        TextColumn("to go"),
        TimeRemainingColumn(compact=True),
    )
    # Stdout on the same terminal is written above the bar; redirected it stays what it is: results would go where the bar goes.
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty())


class _Lines:
    """Lines on stderr, not more often than every `TOLD_S` seconds."""

    def __init__(self, workflow: str, total: int | None) -> None:
        self._workflow = workflow
        self._total = total
        self._began = self._last = time.monotonic()
        self._done, self._told = 0, -1

    def __call__(self, done: int) -> None:
        """Say it, if the last time is long enough ago."""
        self._done = done
        if time.monotonic() - self._last >= TOLD_S:
            self.last()

    def last(self) -> None:
        """Say it, if it was not said."""
        if self._done == self._told:
            return
        now = time.monotonic()
        rate = self._done / max(1e-3, now - self._began)
        self._last, self._told = now, self._done
        say(f"{self._workflow}: {said(self._done, self._total, rate)}")


def said(done: int, total: int | None, rate: float) -> str:
    """Return how far it is, in words."""
    of = "" if total is None else f" of {total}"
    if not done:
        return f"0{of} runs ended"
    to_go = "" if total is None or done >= total or not rate else f", {(total - done) / rate:.0f} s to go"
    return f"{done}{of} runs ended, {rate:.1f} a second{to_go}"
