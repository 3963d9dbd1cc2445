"""From raw records to the table: one record per task in, the figures of each pattern out. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def join(
    run: Mapping[str, Any],
    results: Iterable[Mapping[str, Any]],
    calls: Iterable[Mapping[str, Any]],
    wrong: Mapping[str, str | None],
) -> list[dict[str, Any]]:
    """Return one record per task: its end, what `wrong` says of its result, and all the calls it was billed for."""
    by_task: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for call in calls:
        by_task[call["task"]].append(call)
    return [
        {
            **run,
            "task": result["task"],
            "success": wrong[result["task"]] is None,
            "why": wrong[result["task"]],
            "latency_ms": result["latency_ms"],
            "calls": len(by_task[result["task"]]),
            **_sums(by_task[result["task"]]),
        }
        for result in results
    ]


def _sums(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "prompt_tokens": sum(call["prompt_tokens"] for call in calls),
        "completion_tokens": sum(call["completion_tokens"] for call in calls),
        "cost_usd": round(math.fsum(call["cost_usd"] for call in calls), 9),
    }


def figures(records: Sequence[Record]) -> dict[str, Any]:
    """Return the figures of one pattern at one fault level; latencies are of all tasks, those that failed among them."""
    latencies = sorted(record["latency_ms"] for record in records)
    good = sum(record["success"] for record in records)
    cost = math.fsum(record["cost_usd"] for record in records)
    tasks = len(records)
    return {
        "tasks": tasks,
        "success_pct": round(100 * good / tasks, 2),
        "cost_per_task_usd": round(cost / tasks, 6),
        "cost_per_success_usd": round(cost / good, 6) if good else None,
        "mean_ms": round(math.fsum(latencies) / tasks),
        **{f"p{share}_ms": round(percentile(latencies, share)) for share in (50, 95, 99)},
        "calls_per_task": round(sum(record["calls"] for record in records) / tasks, 3),
        "tokens_per_task": round(sum(r["prompt_tokens"] + r["completion_tokens"] for r in records) / tasks, 1),
        "lost_by": dict(Counter(_cause(record["why"]) for record in records if not record["success"]).most_common()),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that at least `share` percent are not above."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def _cause(why: str) -> str:
    return why.rpartition(": ")[2] if ": " in why else why


def table(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return a row for each (level, pattern), in order of appearance."""
    groups: dict[tuple[float, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["level"], record["pattern"]), []).append(record)
    return [{"pattern": pattern, "level": level, **figures(group)} for (level, pattern), group in groups.items()]


COLUMNS = {
    "pattern": "pattern",
    "success_pct": "success %",
    "cost_per_task_usd": "$/task",
    "cost_per_success_usd": "$/success",
    "mean_ms": "mean ms",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "calls_per_task": "calls",
    "tokens_per_task": "tokens",
}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table as people read it, one for each fault level."""
    parts = []
    for level in dict.fromkeys(row["level"] for row in rows):
        lines = ["| " + " | ".join(COLUMNS.values()) + " |", "|---" * len(COLUMNS) + "|"]
        for row in (row for row in rows if row["level"] == level):
            lines.append("| " + " | ".join(str(row[name]) for name in COLUMNS) + " |")
        parts.append(f"Fault level {level:g}, {_tasks(rows, level)} tasks each\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _tasks(rows: Sequence[Mapping[str, Any]], level: float) -> int:
    return next(int(row["tasks"]) for row in rows if row["level"] == level)


GOALS = {"success_pct": 99.5, "cost_share": 0.28 / 0.41, "mean_share": 1850 / 4200}


def against_chain(rows: Sequence[Mapping[str, Any]], level: float = 1.0) -> dict[str, dict[str, Any]]:
    """Return each pattern's cost and mean latency as shares of the chain's."""
    at = {row["pattern"]: row for row in rows if row["level"] == level}
    if "chain" not in at:
        return {}
    chain = at["chain"]
    return {
        name: {
            "success_pct": row["success_pct"],
            "cost_share": round(row["cost_per_task_usd"] / chain["cost_per_task_usd"], 3),
            "mean_share": round(row["mean_ms"] / chain["mean_ms"], 3),
        }
        for name, row in at.items()
    }
