"""The verdict: the figures of a chaos run on one line, and everything that must not be on stderr."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from benchmarks.chaos.actions import CUTS
from benchmarks.chaos.drive import Outcome, Wanted
from benchmarks.chaos.figures import executions, latencies, rebalances, worst_pause

SHOWN = 20


def verdict(wanted: Wanted, outcome: Outcome) -> dict[str, Any]:
    """Return the figures; `ok` says whether every run ended and the auditor found nothing.

    A result may be in the topic twice, by the same `ce_id` and with the same bytes, when a worker that was cut off sends what it
    had before the cut after its successor did: `duplicate_results` counts them; one that differs is a violation.
    """
    figures = _runs(outcome) | _events(outcome) | _executions(outcome) | _audit(outcome)
    figures |= latencies(outcome.published, outcome.results)
    figures["worst_pause_s"] = worst_pause(outcome.published, outcome.results)
    bad = ("lost", "violations", "worker_deaths", "bad_ends")
    asked = {"seed": wanted.seed, "minutes": wanted.seconds / 60, "workers": wanted.workers, "rate": wanted.rate}
    return asked | {"ok": not any(figures[name] for name in bad)} | figures


def _runs(outcome: Outcome) -> dict[str, Any]:
    sent, results = outcome.published.sent, outcome.results
    lost = sorted(sent.keys() - results.keys())
    twice = sorted(run for run, seen in results.items() if len(seen) > 1)
    _show("run without a result", lost)
    _show("run with more than one result", twice)
    first = Counter(seen[0][1] for seen in results.values())
    return {
        "published": len(sent),
        "sent_again": len(outcome.published.sent_again),
        "results": len(results),
        "failed": first["failed"],
        "lost": len(lost),
        "duplicate_results": sum(len(seen) - 1 for seen in results.values()),
    }


def _events(outcome: Outcome) -> dict[str, Any]:
    counts = outcome.chronicle.counts()
    waves, takeovers = rebalances(outcome.folder.glob("worker-*.log"))
    _show("worker ended by itself", outcome.chronicle.deaths)
    _show("worker did not leave in order", outcome.chronicle.bad_ends)
    return {
        "kills": counts["kill"],
        "terms": counts["term"] + counts["remove"] + counts["add"],
        "zombies": counts["zombie"],
        "added": counts["add"],
        "removed": counts["remove"],
        "broker_restarts": counts["broker"],
        "cuts": sum(counts[kind] for kind in CUTS),
        "slow_networks": counts["latency"],
        "rebalances": waves,
        "takeovers": takeovers,
        "worker_deaths": len(outcome.chronicle.deaths),
        "bad_ends": len(outcome.chronicle.bad_ends),
        "failed_starts": outcome.chronicle.failed_starts,
    }


def _executions(outcome: Outcome) -> dict[str, Any]:
    found = executions(outcome.calls, outcome.chronicle.blows)
    _show("call made again though nothing was killed then", found.unexplained)
    return {
        "executions": found.total,
        "repeated": found.repeated,
        "in_flight_at_kills": found.in_flight,
        "repeated_without_a_kill": len(found.unexplained),
    }


def _audit(outcome: Outcome) -> dict[str, Any]:
    found = [violation for report in outcome.reports.values() for violation in report.violations]
    _show("violation", [f"{v.code} {v.place}: {v.message}" for v in found])
    return {"violations": len(found), "codes": dict(Counter(violation.code for violation in found))}


def _show(what: str, found: list[str] | tuple[str, ...]) -> None:
    for entry in found[:SHOWN]:
        print(f"{what}: {entry}", file=sys.stderr)
    if len(found) > SHOWN:
        print(f"{what}: and {len(found) - SHOWN} more", file=sys.stderr)
