"""Logs of honest runs, made once each: what the doctored ones are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from streams.core.outcome import NodeInput, Outcome
from streams.testing import TopologyTestDriver
from tests.audit.memory import Doctored, retire, snapshot_of
from tests.engine.scripts import Step, advance, broken, cancel, flaky, nodes_of, pipe, play, start
from tests.plans import CHAIN, DIAMOND, plan_of


@dataclass(frozen=True)
class Story:
    """A workflow, its nodes that do not simply answer, and what happens."""

    dag: Mapping[str, Sequence[str]]
    steps: Sequence[Step]
    special: Mapping[str, Callable[[NodeInput], Outcome]] = field(default_factory=dict)

    def log(self, **crash: Any) -> Doctored:
        """Let it happen and return the log."""
        plan = plan_of(self.dag)
        with TopologyTestDriver(plan, nodes_of(plan, self.special)) as driver:
            play(driver, self.steps, **crash)
            return snapshot_of(driver)


RETIRE = Step(lambda driver: None, retire)

STORIES: Mapping[str, Story] = {
    "chain": Story(CHAIN, [start()]),
    "diamond": Story(DIAMOND, [start("r1"), start("r2")]),
    "retried": Story(CHAIN, [start(), advance(1)], {"b": flaky(2)}),
    "failed": Story(CHAIN, [start(), advance(1)], {"b": flaky(9)}),
    "failed at once": Story(CHAIN, [start()], {"b": broken}),
    "waiting": Story(CHAIN, [start()], {"b": flaky(1)}),
    "conflict": Story(CHAIN, [start(), start(value={"n": 2})]),
    "twice": Story(CHAIN, [start(), start()]),
    "poison": Story(CHAIN, [pipe("input", b"{", key="bad"), start(), pipe("control", b"{")]),
    "cancelled": Story(CHAIN, [start(), cancel(), advance(1)], {"b": flaky(1)}),
    "cancelled, its timer not due yet": Story(CHAIN, [start(), cancel()], {"b": flaky(1)}),
    "cancelled before it started": Story(CHAIN, [cancel(), start()]),
    "cancelled and never started": Story(CHAIN, [cancel()]),
    "retired": Story(CHAIN, [start(), RETIRE]),
    "retired after a failure": Story(CHAIN, [start(), RETIRE], {"b": broken}),
    "retired, and started again": Story(CHAIN, [start(), RETIRE, start(), start(value={"n": 2}), cancel()]),
}


@cache
def _made(name: str) -> Doctored:
    return STORIES[name].log()


def log_of(name: str) -> Doctored:
    """Return a story's log, the caller's to change."""
    made = copy(_made(name))
    made.entries, made.extents = list(made.entries), dict(made.extents)
    return made
