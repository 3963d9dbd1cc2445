"""What `penstock run` shows: progress on stderr while runs go on, results on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.cli import output
from penstock.cli.progress import Advance, progress

if TYPE_CHECKING:
    from topology.plan import WorkflowPlan

SHOWN_WHOLE = 3
"""So many runs are shown with their outputs; more have a table alone."""


class Report:
    """Takes results as they come."""

    def __init__(self, plan: WorkflowPlan, total: int, as_json: bool, advance: Advance) -> None:
        self._plan = plan
        self._total = total
        self._as_json = as_json
        self._advance = advance
        self._results: list[dict[str, Any]] = []
        self._ended = self._succeeded = 0

    @property
    def all_succeeded(self) -> bool:
        """Say whether every run was a success."""
        return self._succeeded == self._total

    def ended(self, result: dict[str, Any]) -> None:
        """Take the next result."""
        self._ended += 1
        self._succeeded += result["status"] == "success"
        if self._as_json:
            output.line(result)
        else:
            self._results.append(result)
        self._advance(self._ended)

    def end(self) -> None:
        """Print the table of all results."""
        if not self._results:
            return
        output.table(("run_id", "status", "nodes", "tokens", "cost_usd", "ms"), map(self._row, self._results))
        for result in self._results if self._total <= SHOWN_WHOLE else ():
            for node, value in result.get("outputs", {}).items():
                output.text(f"{result['run_id']} {node}: {output.compact(value)}")
        for result in self._results:
            for where, error in _errors(result):
                output.text(f"{result['run_id']} {where}: {error['kind']}: {error['message']}")

    def _row(self, result: dict[str, Any]) -> list[object]:
        nodes = result.get("nodes")
        if nodes is None:
            return [result["run_id"], result["status"], "", "", "", ""]
        stand = "\n".join(f"{node.id} {_stand(nodes[node.id])}" for node in self._plan.nodes if node.id in nodes)
        cost = output.cost(result["cost_usd"])
        return [
            result["run_id"],
            result["status"],
            stand,
            result["usage"]["total_tokens"],
            cost,
            result["duration_ms"],
        ]


def _stand(node: dict[str, Any]) -> str:
    attempts = node["attempts"]
    return f"{node['status']}, {attempts} attempt{'' if attempts == 1 else 's'}"


def _errors(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if result.get("error"):
        yield "input", result["error"]
    for node, of in result.get("nodes", {}).items():
        if of["error"]:
            yield node, of["error"]


@contextmanager
def report(plan: WorkflowPlan, total: int, as_json: bool) -> Iterator[Report]:
    """Yield a report with a progress bar on a terminal, a line now and then elsewhere."""
    with progress(plan.id, total) as advance:
        yield Report(plan, total, as_json, advance)
