"""A shadow: another version of a workflow runs on inputs of the past, on topics and in a group of its own; only its results are compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaConsumer

from penstock.client import reading, runs
from penstock.client.results import Result, result_in
from penstock.client.workflows import Workflow
from schemas.codec import loads
from schemas.records import NodeRow
from streams.core.outcome import Done, NodeInput, Outcome
from topology.naming import output_topic
from topology.plan import NodePlan, WorkflowPlan

Difference = dict[str, Any]
"""One place where two JSON values differ: its JSON path, and what stands there before and after (absent: no such key)."""


def shadow_id(workflow_id: str, key: str) -> str:
    """Return the id under which a shadow runs: its topics and its group have it as their prefix."""
    return f"shadow-{key[:12]}-{workflow_id}"


def stubbed(plan: WorkflowPlan) -> tuple[WorkflowPlan, frozenset[str]]:
    """Return the plan with whatever reaches out of the workflow made a function, and the ids of those nodes.

    That is nodes with an `idempotency_key`, external nodes and reviews: in a shadow they answer what production recorded.
    """
    reaching = frozenset(node.id for node in plan.nodes if _reaches_out(node))
    nodes = tuple(_stub(node) if node.id in reaching else _undoubted(node) for node in plan.nodes)
    return replace(plan, nodes=nodes), reaching


def _reaches_out(node: NodePlan) -> bool:
    return node.idempotency_key is not None or node.kind in ("review", "external")


def _stub(node: NodePlan) -> NodePlan:
    return replace(
        node,
        kind="function",
        idempotency_key=None,
        lease=None,
        review=None,
        requests_topic=None,
        for_each=None,
        batch=None,
    )


def _undoubted(node: NodePlan) -> NodePlan:
    """Nobody reviews a shadow's doubts: there its run stops."""
    if node.llm is None or node.llm.on_low_confidence != "review":
        return node
    return replace(node, review=None, llm=replace(node.llm, on_low_confidence="stop"))


@dataclass(frozen=True, slots=True)
class Stub:
    """A node that answers what production recorded of each run, `{}` where there is nothing."""

    recorded: Mapping[str, Any]

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Answer."""
        return Done(self.recorded.get(node_input.run_id, {}))


async def recorded(reader: AIOKafkaConsumer, workflow: Workflow, nodes: Iterable[str]) -> dict[str, Stub]:
    """Return a stub for each of `nodes`, from production's rows; one that production does not have answers `{}`."""
    changelogs = workflow.changelogs()
    found = {}
    for node in nodes:
        places = reading.places_of(changelogs[node], workflow.partitions) if node in changelogs else []
        rows = [row for rows in (await runs.fold(reader, places)).values() for row in rows.values()]
        outputs = {row.run_id: loads(row.output) for row in rows if isinstance(row, NodeRow) and row.output is not None}
        found[node] = Stub(outputs)
    return found


async def results_of(
    reader: AIOKafkaConsumer, workflow_id: str, topics: Mapping[str, int], run_ids: Collection[str]
) -> dict[str, Result]:
    """Return the last result of each run."""
    topic = output_topic(workflow_id)
    found: dict[str, Result] = {}
    async for record in reading.to_end(reader, reading.places_of(topic, topics.get(topic, 0))):
        result = result_in(record)
        if result is not None and result.get("run_id") in run_ids:
            known = found.get(result["run_id"])
            if known is None or known["epoch"] <= result["epoch"]:
                found[result["run_id"]] = result
    return found


# ---- comparing ------------------------------------------------------------------------------------------------------


def compared(before: Result, after: Result) -> dict[str, Any]:
    """Return a diff line."""
    differences = list(
        diff({"status": before.get("status"), **_outputs(before)}, {"status": after.get("status"), **_outputs(after)})
    )
    return {
        "run_id": after["run_id"],
        "changed": bool(differences),
        "status": {"before": before.get("status"), "after": after.get("status")},
        **{
            key: {"before": before.get(key), "after": after.get(key)}
            for key in ("outputs", "usage", "cost_usd", "duration_ms")
        },
        "diff": differences,
    }


def _outputs(result: Result) -> dict[str, Any]:
    return {"outputs": result.get("outputs")}


def diff(before: Any, after: Any, path: str = "$") -> Iterator[Difference]:
    """Yield where two JSON values differ, in the order of their keys."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _beside(before, after, key, f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _beside(dict(enumerate(before)), dict(enumerate(after)), index, f"{path}[{index}]")
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield {"path": path, "before": before, "after": after}


def _beside(before: Mapping[Any, Any], after: Mapping[Any, Any], key: Any, path: str) -> Iterator[Difference]:
    if key in before and key in after:
        yield from diff(before[key], after[key], path)
    else:
        yield {"path": path} | ({"before": before[key]} if key in before else {"after": after[key]})


@dataclass(slots=True)
class Summary:
    """What a shadow came to, over its diff lines."""

    runs: int = 0
    changed: int = 0
    failed: int = 0
    costs: list[tuple[float, float]] = field(default_factory=list)
    durations: list[tuple[float, float]] = field(default_factory=list)

    def take(self, line: Mapping[str, Any]) -> None:
        """Count a line."""
        self.runs += 1
        self.changed += line["changed"]
        self.failed += line["status"]["after"] != "success"
        for kept, key in ((self.costs, "cost_usd"), (self.durations, "duration_ms")):
            pair = line[key]["before"], line[key]["after"]
            if None not in pair:
                kept.append(pair)

    def told(self) -> dict[str, Any]:
        """Return the summary line: `failed` runs are those of the shadow that were no success."""
        return {
            "runs": self.runs,
            "changed": self.changed,
            "equal": self.runs - self.changed,
            "failed": self.failed,
            "cost_usd": _total(self.costs),
            "duration_ms": _total(self.durations),
        }


def _total(pairs: list[tuple[float, float]]) -> dict[str, float | None]:
    before, after = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return {"before": before, "after": after, "ratio": round(after / before, 4) if before else None}
