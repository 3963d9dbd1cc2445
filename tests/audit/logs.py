"""Logs of honest runs, made once each: what the doctored ones are made of."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any

from tests.audit.memory import Doctored, retire, snapshot_of
from tests.engine import scripts
from tests.engine.scripts import (
    Step,
    advance,
    answer,
    broken,
    cancel,
    decision,
    echo,
    fixed_by_an_edit,
    flaky,
    frugal,
    frugal_at_last,
    never_open,
    pipe,
    play,
    put_off,
    redrive,
    start,
    unheard,
    unsure,
)
from tests.engine.stories_of_kinds import STORIES as KINDS
from tests.plans import CHAIN, DIAMOND, external, llm, review
from topology.plan import Budget


class Story(scripts.Story):
    """A story whose log is asked for."""

    def log(self, **crash: Any) -> Doctored:
        """Let it happen and return the log."""
        with self.driver() as driver:
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
    "redriven": Story(CHAIN, [start(), redrive("b", edit={"input": {"ok": True}})], {"b": fixed_by_an_edit}),
    "redriven in vain, then well": Story(
        DIAMOND,
        [start(), redrive("extract"), redrive("extract", edit={"input": {"ok": True}}), redrive("extract", epoch=0)],
        {"extract": fixed_by_an_edit},
    ),
    "redrives that are refused": Story(
        CHAIN, [start(), redrive("a"), redrive("b", edit={"nobody": 1}), redrive("b", run_id="r9")]
    ),
    "redriven and retired": Story(CHAIN, [start(), redrive("b"), RETIRE, redrive("b")], {"b": broken}),
    "put off": Story(CHAIN, [start(), advance(2)], {"b": put_off}, {"b": llm()}),
    "put off, not due yet": Story(CHAIN, [start()], {"b": put_off}, {"b": llm()}),
    "another model": Story(CHAIN, [start()], {"b": never_open}, {"b": llm("m1", "m2")}),
    "another model after retries": Story(
        CHAIN,
        [start(), advance(1)],
        {"b": lambda i: echo(i) if i.model == "m2" else flaky(9)(i)},
        {"b": llm("m1", "m2")},
    ),
    "stopped": Story(DIAMOND, [start()], {"extract": unsure}, {"extract": llm()}),
    "out of time": Story(CHAIN, [start(), advance(1)], {"b": flaky(9)}, plan={"deadline_ms": 1_500}),
    "in time": Story(CHAIN, [start()], {"b": flaky(1)}, plan={"deadline_ms": 30_000}),
    "budgeted": Story(
        DIAMOND,
        [start(), advance(1)],
        {"classify": frugal, "extract": frugal_at_last, "sentiment": unheard, "summarize": frugal},
        {n: llm() for n in DIAMOND},
        {"budget": Budget(10_000, 1.0), "daily_budget": Budget(100_000, None)},
    ),
    "over budget": Story(
        CHAIN, [start()], dict.fromkeys(CHAIN, frugal), {n: llm() for n in CHAIN}, {"budget": Budget(145, None)}
    ),
    "retired": Story(CHAIN, [start(), RETIRE]),
    "retired after a failure": Story(CHAIN, [start(), RETIRE], {"b": broken}),
    "retired, and started again": Story(CHAIN, [start(), RETIRE, start(), start(value={"n": 2}), cancel()]),
    "under review": Story(CHAIN, [start()], nodes={"b": review()}),
    "told something when its state was dropped": Story(
        CHAIN, [start(), decision("b"), RETIRE, decision("b"), answer("b")], nodes={"b": review()}
    ),
    "asked of an app": Story(CHAIN, [start()], nodes={"b": external("b")}),
    **{name: Story(s.dag, s.steps, s.special, s.nodes, s.plan) for name, s in KINDS.items()},
}


@cache
def _made(name: str) -> Doctored:
    return STORIES[name].log()


def log_of(name: str) -> Doctored:
    """Return a story's log, the caller's to change."""
    made = copy(_made(name))
    made.entries, made.extents = list(made.entries), dict(made.extents)
    return made
