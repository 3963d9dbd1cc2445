"""The bench in short: three patterns on the same twenty tasks, Penstock on the session's Kafka."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from typing import Any

import pytest

from benchmarks.patterns.__main__ import run_pattern
from benchmarks.patterns.ask import LARGE
from benchmarks.patterns.documents import FOLDER, STEPS
from benchmarks.patterns.lab import Load
from benchmarks.patterns.table import table
from topology.load import load_workflow

PATTERNS = ("chain", "mesh", "penstock")
LOAD = Load(tasks=20, rate=20.0, level=2.0, scale=10.0, shares=1)


@pytest.mark.kafka
async def test_every_pattern_meets_the_same_faults_and_the_records_give_the_table(bootstrap: str) -> None:
    found = await asyncio.gather(*(run_pattern(pattern, LOAD, bootstrap) for pattern in PATTERNS))
    records = [record for of_tasks, _, _ in found for record in of_tasks]
    calls = [call for _, of_calls, _ in found for call in of_calls]
    assert_same_faults(calls)
    for row in table(records):
        mine = [record for record in records if record["pattern"] == row["pattern"]]
        billed = [call for call in calls if call["pattern"] == row["pattern"]]
        assert sorted(record["task"] for record in mine) == [f"D-{number:05d}" for number in range(LOAD.tasks)]
        assert row["success_pct"] == 100 * sum(record["success"] for record in mine) / LOAD.tasks
        assert row["mean_ms"] == round(statistics.fmean(record["latency_ms"] for record in mine))
        assert row["calls_per_task"] == len(billed) / LOAD.tasks
        assert row["cost_per_task_usd"] == pytest.approx(
            sum(call["cost_usd"] for call in billed) / LOAD.tasks, abs=1e-6
        )


def assert_same_faults(calls: list[dict[str, Any]]) -> None:
    """The nth call for a step of a task went the same way in every pattern that made it with such a model."""
    kinds: dict[tuple[str, str, int, bool], set[str]] = {}
    for call in calls:
        if not call["step"].startswith("handoff"):  # only the mesh asks for those
            kinds.setdefault((call["task"], call["step"], call["try"], "mini" in call["model"]), set()).add(
                call["kind"]
            )
    assert all(len(of_one) == 1 for of_one in kinds.values())
    assert len(Counter(kind for of_one in kinds.values() for kind in of_one)) > 4  # faults there were
    firsts = {
        pattern: {(call["task"], call["step"]) for call in calls if call["pattern"] == pattern and call["try"] == 1}
        for pattern in PATTERNS
    }
    assert firsts["chain"] & firsts["mesh"] & firsts["penstock"]


@pytest.mark.parametrize("file", ["workflow.yaml", "same.yaml"])
def test_its_workflows_are_sound(file: str) -> None:
    loaded = load_workflow(FOLDER / file)
    assert not loaded.errors
    assert loaded.plan is not None


def test_no_cheaper_model_helps_the_workflow_that_asks_the_chains() -> None:
    loaded = load_workflow(FOLDER / "same.yaml")
    assert loaded.plan is not None
    asked = {node.id: node.llm.models for node in loaded.plan.nodes if node.llm is not None}
    assert set(asked) == set(STEPS)
    assert {models[0] for models in asked.values()} == {LARGE}
    assert not any("mini" in model for models in asked.values() for model in models)
