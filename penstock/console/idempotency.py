"""Starting a run once however often it is asked for: the run's own row says it, and for the moments before there is one, memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from penstock.console.api.shapes import PublishedRun

REMEMBERED = 10_000


def run_id_of(workflow: str, key: str) -> str:
    """Return the run id that an idempotency key stands for: the same after the console was started anew."""
    return "key-" + hashlib.sha256(f"{workflow}\0{key}".encode()).hexdigest()[:32]


@dataclass(slots=True)
class Asked:
    """One run that was asked for: with what (a hash), and where it was published. The lock has the same request wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    content: str | None = None
    answer: PublishedRun | None = None


class Recent:
    """What was asked for lately, by workflow and key or run id; and the ids of runs that were published here, not long ago."""

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[str, str], Asked] = OrderedDict()
        self._published: OrderedDict[str, None] = OrderedDict()

    def publish(self, run_id: str) -> None:
        """Note a run that will be there in a moment."""
        self._published[run_id] = None
        if len(self._published) > REMEMBERED:
            self._published.popitem(last=False)

    def is_published(self, run_id: str) -> bool:
        """Say whether a run was published here."""
        return run_id in self._published

    def of(self, workflow: str, name: str) -> Asked:
        """Return what is remembered under a name."""
        key = (workflow, name)
        found = self._asked.setdefault(key, Asked())
        self._asked.move_to_end(key)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return found
