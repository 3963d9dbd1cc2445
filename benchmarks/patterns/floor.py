"""How long a workflow's tasks would take on an engine that takes no time: the same fates, timeouts, backoffs and models, no run.

    python -m benchmarks.patterns.floor [--tasks N] [--seed N] [--level X] [--hop-ms X]

`--hop-ms` is added for each attempt, each node without a call, the intake and the output. One JSON line.
"""

from __future__ import annotations

import argparse
import math
import sys

import orjson

from benchmarks.patterns.documents import FOLDER, Document, make_document
from benchmarks.patterns.model import RETRY_AFTER_S, fate
from benchmarks.patterns.on_penstock import VARIANTS
from topology.load import load_workflow
from topology.plan import NodePlan, WorkflowPlan

MEAN_JITTER = 1.125
"""A wait grows by up to a quarter."""


def task_ms(plan: WorkflowPlan, document: Document, seed: int, level: float, hop_ms: float) -> float:
    """Return how long the task takes."""
    ends: dict[str, float] = {}
    for node in plan.nodes:
        begin = max((ends[name] for name in node.dependencies), default=hop_ms)
        ends[node.id] = begin + (hop_ms if node.llm is None else node_ms(node, document, seed, level, hop_ms))
    return max(ends.values()) + hop_ms


def node_ms(node: NodePlan, document: Document, seed: int, level: float, hop_ms: float) -> float:
    """Return how long a node's attempts and the waits between them take."""
    assert node.llm is not None
    spent, nth = 0.0, 0
    for model in node.llm.models:
        for tried in range(node.retry.max_retries + 1):
            nth += 1
            drawn = fate(seed, level, document, node.id, nth, model, {})
            late = drawn.delay_ms > node.timeout_ms
            spent += min(drawn.delay_ms, node.timeout_ms) + hop_ms
            if not late and drawn.kind in ("ok", "stall", "sure_and_wrong"):
                return spent
            if not late and drawn.kind in ("weak", "false_doubt"):
                break
            if drawn.fault == "rate_limit" and node.llm.on_rate_limit == "fallback" and model != node.llm.models[-1]:
                break
            wait = node.retry.backoff_ms * 2**tried * MEAN_JITTER
            spent += max(wait, RETRY_AFTER_S * 1000) if drawn.fault == "rate_limit" else wait
    return spent


def main() -> None:
    """Compute and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--level", type=float, default=1.0)
    parser.add_argument("--hop-ms", type=float, default=0.0)
    asked = parser.parse_args()
    documents = [make_document(asked.seed, number) for number in range(asked.tasks)]
    means = {}
    for variant, (_, file) in VARIANTS.items():
        plan = load_workflow(FOLDER / file).require_plan()
        times = [task_ms(plan, document, asked.seed, asked.level, asked.hop_ms) for document in documents]
        means[variant] = round(math.fsum(times) / len(times))
    sys.stdout.write(orjson.dumps({"benchmark": "patterns-floor", **vars(asked), "mean_ms": means}).decode() + "\n")


if __name__ == "__main__":
    main()
