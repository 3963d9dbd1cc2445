"""The composition root: a plan and its providers become an engine. Production and tests wire it here alike."""

from __future__ import annotations

from streams.core.compiled import compile_workflow
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.nodes import build
from streams.nodes.resources import Resources
from topology.plan import WorkflowPlan


def engine_of(plan: WorkflowPlan, resources: Resources, config: EngineConfig) -> Engine:
    """Return an engine for `plan`, not started; every handler is imported and every provider resolved now.

    Raises:
        HandlerImportError: a handler that does not import, with file and line.
        ProviderConfigError: a model without a provider.
    """
    nodes = {node.id: build(node, plan.id, resources) for node in plan.nodes}
    return Engine(compile_workflow(plan), nodes, config)
