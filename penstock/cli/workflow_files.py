"""Loading workflow files for commands: what is wrong is an error, what nothing acts on yet is refused by those that run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topology.load import Loaded
    from topology.plan import WorkflowPlan


def load(file: Path, partitions: int | None) -> Loaded:
    """Return what the file came to."""
    from topology.load import load_workflow
    from topology.plan import DEFAULT_PARTITIONS

    return load_workflow(file, partitions=partitions or DEFAULT_PARTITIONS)


def runnable(file: Path, partitions: int | None) -> WorkflowPlan:
    """Return the file's plan; raise if it has errors."""
    return load(file, partitions).require_plan()


def check_handlers(plan: WorkflowPlan) -> None:
    """Import every handler, before anything is started for them; `HandlerImportError` names file and line."""
    from streams.nodes.handler_loader import load_handler

    for node in plan.nodes:
        if node.function is not None:
            load_handler(node.function, plan.id)
