"""Batches on real Kafka: runs of all partitions share calls, and fail alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.bootstrap import engine_of
from streams.engine.config import EngineConfig
from streams.nodes import Resources
from tests.kafka_tools import publish, results, running, unique
from tests.plans import plan_of
from topology.plan import BatchPlan, FunctionPlan, RetryPolicy

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

HANDLER = """
from pathlib import Path
from penstock import HandlerContext, NonRetryable

def handle(inputs: list, contexts: list[HandlerContext]) -> list:
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write(f"{len(inputs)}\\n")
    return [answer(one["input"]["n"], context) for one, context in zip(inputs, contexts, strict=True)]

def answer(n: int, context: HandlerContext):
    return NonRetryable("13 is bad") if n == 13 else {"n": n, "run": context.run_id}
"""


async def test_a_hundred_runs_share_a_few_calls_and_a_bad_item_fails_alone(bootstrap: str, tmp_path: Path) -> None:
    path = tmp_path / "handler.py"
    path.write_text(HANDLER, "utf-8")
    function, retry = FunctionPlan(str(path), None, "handle"), RetryPolicy(2, 50)
    shared = {"function": function, "retry": retry, "batch": BatchPlan(25, 500), "concurrency": 1}
    plan = plan_of({"a": ()}, unique("batch"), nodes={"a": shared})
    resources = Resources()
    async with running(engine_of(plan, resources, EngineConfig(bootstrap))):
        await publish(bootstrap, plan.topic("input"), [{"n": n} for n in range(100)], [f"r{n}" for n in range(100)])
        found = await results(bootstrap, plan, 100)
    await resources.aclose()
    sizes = [int(line) for line in (tmp_path / "calls").read_text().split()]
    assert {run: [result["status"] for result in each] for run, each in found.items()} == {
        f"r{n}": ["failed" if n == 13 else "success"] for n in range(100)
    }
    assert [found[f"r{n}"][0]["outputs"]["a"] for n in range(100) if n != 13] == [
        {"n": n, "run": f"r{n}"} for n in range(100) if n != 13
    ]
    assert "13 is bad" in found["r13"][0]["nodes"]["a"]["error"]["message"]
    assert (sum(sizes), max(sizes) <= 25, len(sizes) < 20) == (100, True, True), sizes
