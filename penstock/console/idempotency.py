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
    """What was asked for lately, by workflow and key or run id."""

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[str, str], Asked] = OrderedDict()

    def of(self, workflow: str, name: str) -> Asked:
        """Return what is remembered under a name."""
        key = (workflow, name)
        found = self._asked.setdefault(key, Asked())
        self._asked.move_to_end(key)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return found
