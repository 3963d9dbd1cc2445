"""Loading workflow files for commands: what is wrong is an error, what nothing acts on yet is refused by those that run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.settings import Settings
    from topology.load import Loaded
    from topology.plan import WorkflowPlan


def load(file: Path, partitions: int | None) -> Loaded:
    """Return what the file came to, with names as the settings have them."""
    from penstock import settings
    from topology.load import load_workflow
    from topology.plan import DEFAULT_PARTITIONS

    settings.load()
    return load_workflow(file, partitions=partitions or DEFAULT_PARTITIONS)


def runnable(file: Path, partitions: int | None) -> WorkflowPlan:
    """Return the file's plan; raise if it has errors."""
    return load(file, partitions).require_plan()


def check_sizes(plan: WorkflowPlan, known: Settings) -> None:
    """Raise `SettingsError` if topics are set to be so that a promise of the workflow's would break."""
    from penstock.settings import SettingsError
    from topology.sizes import refusals

    found = refusals(plan, known.sizes())
    if found:
        raise SettingsError("\n".join(f"{known.config_file}: {line}, for workflow {plan.id!r}" for line in found))


def check_handlers(plan: WorkflowPlan) -> None:
    """Import every handler, before anything is started for them; `HandlerImportError` names file and line."""
    from streams.nodes.handler_loader import load_handler

    for node in plan.nodes:
        if node.function is not None:
            load_handler(node.function, plan.id)
