"""How many attempts of a node a worker takes on at once, and when it gives one up."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.allowance import PROVIDER_GRACE_MS, patience_ms, slots_of
from streams.nodes.process_pool import PROCESSES, START_MS
from tests.plans import llm, plan_of
from topology.plan import BatchPlan, FunctionPlan, NodePlan

HANDLER = FunctionPlan("/h.py", None, "handle")
PROCESS = {"function": FunctionPlan("/h.py", None, "handle", executor="process")}


def node(**changes: Any) -> NodePlan:
    return plan_of({"n": ()}, nodes={"n": {"timeout_ms": 1_000, **changes}}).node("n")


@pytest.mark.parametrize(
    ("changes", "slots"),
    [
        ({"concurrency": 5}, 5),
        ({"concurrency": 5, "batch": BatchPlan(10, 200)}, 50),
        ({"concurrency": 10_000, **PROCESS}, PROCESSES),
        ({"concurrency": 1, **PROCESS}, 1),
    ],
)
def test_items_of_a_batch_hold_no_slot_of_their_own_and_processes_are_few(changes: dict[str, Any], slots: int) -> None:
    assert slots_of(node(**changes)) == slots


@pytest.mark.parametrize(
    ("changes", "patience"),
    [
        ({"function": HANDLER}, 1_000),
        (llm(), 1_000 + PROVIDER_GRACE_MS),
        (PROCESS, 1_000 + START_MS),
        ({"batch": BatchPlan(1, 200)}, 200 + 2 * 1_000),
        ({"batch": BatchPlan(8, 200)}, 200 + (2 + 2 * 3) * 1_000),
        ({"batch": BatchPlan(9, 200)}, 200 + (2 + 2 * 4) * 1_000),
    ],
)
def test_nodes_that_keep_their_timeout_themselves_get_more(changes: dict[str, Any], patience: int) -> None:
    assert patience_ms(node(**changes)) == patience
