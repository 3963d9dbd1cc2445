"""What came of a chaos run, in figures: pure functions of what was published, seen, done and called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.chaos.actions import CUTS, Blow
from benchmarks.chaos.feeder import Published
from benchmarks.chaos.schedule import Kind
from benchmarks.chaos.watcher import Result

SLACK_S = 1.0
"""A call that ended this long before a kill may not have been published yet; one that began so long after may have been on its way."""

BACK_S = 3.0
"""How long it takes until everything held back is published."""

ABANDONING: frozenset[Kind] = CUTS | {"kill", "zombie"}
"""After these somebody else may have to make a call again that was in flight."""

HOLDING: frozenset[Kind] = CUTS | {"broker", "latency"}
"""While these last the ends of calls cannot be published: the calls count as in flight."""

WAVE_S = 1.5
"""Takeovers no further apart belong to one rebalance."""

_TAKEOVER = re.compile(r"^(\S+) .*partitions taken over", re.MULTILINE)

Call = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]


@dataclass(frozen=True, slots=True)
class Executions:
    """Calls of the provider: how many, repeated under the same key, in flight when something was killed, and not to be explained by that."""

    total: int
    repeated: int
    in_flight: int
    unexplained: tuple[str, ...]


def executions(calls: Sequence[Call], blows: Sequence[Blow]) -> Executions:
    """Count executions. `in_flight` is an upper bound: the provider does not know whose calls they were."""
    kills = [(_held_since(blow, blows), blow.began) for blow in blows if blow.kind in ABANDONING]
    in_flight = sum(1 for call in calls for kill in kills if _in_flight(call, *kill))
    last: dict[str, Call] = {}
    repeated, unexplained = 0, []
    for call in calls:
        before = last.get(call["key"])
        last[call["key"]] = call
        if before is None:
            continue
        repeated += 1
        woke = any(blow.kind == "zombie" and 0 <= call["started_at"] - blow.ended < SLACK_S for blow in blows)
        if not woke and not any(_in_flight(before, *kill) for kill in kills):
            unexplained.append(f"{call['key']} at {before['started_at']:.3f} and at {call['started_at']:.3f}")
    return Executions(len(calls), repeated, in_flight, tuple(unexplained))


def _held_since(blow: Blow, blows: Sequence[Blow]) -> float:
    """Return since when the worker could not publish when the blow hit it."""
    holding = [
        other.began
        for other in blows
        if other.kind in HOLDING
        and other.slot in (None, blow.slot)
        and other.began <= blow.began <= other.ended + BACK_S
    ]
    return min(holding, default=blow.began)


def _in_flight(call: Call, held_since: float, at: float) -> bool:
    finished = call["finished_at"]
    return call["started_at"] <= at + SLACK_S and (finished is None or finished >= held_since - SLACK_S)


def latencies(published: Published, results: Results) -> dict[str, float]:
    """Return percentiles of the time from sending an input to seeing its first result, in seconds."""
    found = sorted(results[run][0][0] - sent for run, sent in published.sent.items() if run in results)
    if len(found) < 2:
        return {}
    cuts = quantiles(found, n=100)
    return {"p50_s": round(cuts[49], 3), "p90_s": round(cuts[89], 3), "p99_s": round(cuts[98], 3)}


def worst_pause(published: Published, results: Results) -> float:
    """Return the longest time in which runs were pending and no result came."""
    changes = [(at, 1) for at in published.sent.values()]
    changes += [(results[run][0][0], -1) for run in published.sent if run in results]
    pending, since, worst = 0, 0.0, 0.0
    for at, change in sorted(changes):
        if change < 0:
            worst = max(worst, at - since)
        if change < 0 or pending == 0:
            since = at
        pending += change
    return round(worst, 2)


def rebalances(logs: Iterable[Path]) -> tuple[int, int]:
    """Return how many rebalances the workers saw, and how many takeovers that were, from their logs."""
    times = sorted(
        datetime.fromisoformat(match[1]).timestamp()
        for log in logs
        for match in _TAKEOVER.finditer(log.read_text(errors="replace"))
    )
    waves = sum(1 for before, at in zip([0.0, *times], times, strict=False) if at - before > WAVE_S)
    return waves, len(times)
