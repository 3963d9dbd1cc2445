"""The table's arithmetic."""

from __future__ import annotations

from typing import Any

from benchmarks.patterns.table import against_chain, figures, join, percentile, table


def record(pattern: str, latency_ms: float, cost_usd: float, why: str | None = None) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "level": 1.0,
        "success": why is None,
        "why": why,
        "latency_ms": latency_ms,
        "calls": 6,
        "prompt_tokens": 90,
        "completion_tokens": 10,
        "cost_usd": cost_usd,
    }


def test_figures() -> None:
    found = figures([record("chain", 100.0, 0.01), record("chain", 300.0, 0.03, "risk: wrong")])
    assert found["success_pct"] == 50.0
    assert found["cost_per_task_usd"] == 0.02
    assert found["cost_per_success_usd"] == 0.04  # what failed is paid for, too
    assert (found["mean_ms"], found["p50_ms"], found["p95_ms"]) == (200, 100, 300)
    assert (found["calls_per_task"], found["tokens_per_task"]) == (6.0, 100.0)
    assert found["lost_by"] == {"wrong": 1}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(n) for n in range(1, 201)]
    assert [percentile(ordered, share) for share in (50, 95, 99)] == [100.0, 190.0, 198.0]
    assert percentile([7.0], 99) == 7.0


def test_a_pattern_is_compared_with_the_chain() -> None:
    rows = table([record("chain", 400.0, 0.04), record("penstock", 100.0, 0.01)])
    assert against_chain(rows)["penstock"] == {"success_pct": 100.0, "cost_share": 0.25, "mean_share": 0.25}
    assert against_chain(table([record("penstock", 1.0, 0.01)])) == {}


def test_calls_are_charged_to_their_task() -> None:
    call = {"prompt_tokens": 90, "completion_tokens": 10, "cost_usd": 0.5}
    ends = [{"task": "D-1", "latency_ms": 5.0}, {"task": "D-2", "latency_ms": 6.0}]
    calls = [{**call, "task": "D-1"}, {**call, "task": "D-1"}]
    one, two = join({"pattern": "chain"}, ends, calls, {"D-1": None, "D-2": "deadline"})
    assert (one["calls"], one["prompt_tokens"], one["cost_usd"], one["success"]) == (2, 180, 1.0, True)
    assert (two["calls"], two["cost_usd"], two["success"], two["why"]) == (0, 0.0, False, "deadline")
