"""The composition root: a plan and its providers become an engine. Production and tests wire it here alike."""

from __future__ import annotations

from collections.abc import Mapping

from streams.claims.claims import Claims
from streams.core.compiled import CompiledWorkflow, Prices, compile_workflow
from streams.core.versions import Versions
from streams.engine.attempt import Node
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.errors import ProviderConfigError, RegistryError
from streams.nodes import build
from streams.nodes.resources import Resources
from streams.providers.openai_chat import import_client
from topology.plan import NodePlan, WorkflowPlan


def engine_of(
    plan: WorkflowPlan, resources: Resources, config: EngineConfig, instead: Mapping[str, Node] | None = None
) -> Engine:
    """Return an engine for `plan`, not started; every handler is imported and every provider resolved now.

    `instead` are nodes that others do, by id.

    Raises:
        HandlerImportError: a handler that does not import, with file and line.
        ProviderConfigError: a model without a provider, or without a price where a budget is in dollars.
        RegistryError: Avro inputs or outputs, and no schema registry.
    """
    if plan.needs_registry and config.wire is None:
        raise RegistryError(
            f"workflow {plan.id!r}: Avro inputs and outputs need a schema registry: set schema_registry_url "
            "(PENSTOCK_SCHEMA_REGISTRY_URL), or take input_format and output_format out; `penstock registry start` starts one to try"
        )
    others = instead or {}
    claims = config.claims
    if plan.claim_check is not None:
        (claims or Claims()).check(plan.claim_check.store, f"workflow {plan.id!r}")
    stores = () if claims is None else claims.stores
    hides_keys = config.sealing is not None and config.sealing.current is not None
    nodes = {
        node.id: others[node.id] if node.id in others else build(node, plan.id, resources)
        for node in plan.nodes
        if node.executes
    }
    prices_of(plan, resources, strict=True)

    def compile_version(version: WorkflowPlan, versions: Versions) -> CompiledWorkflow:
        return compile_workflow(version, prices_of(version, resources), versions, hides_keys, stores)

    def build_node(node: NodePlan) -> Node:
        return others[node.id] if node.id in others else build(node, plan.id, resources)

    versions = Versions(plan, compile_version)
    watch = None if resources.telemetry is None else resources.telemetry.watch(plan)
    calls = any(node.llm is not None and node.id not in others for node in plan.nodes)
    return Engine(versions.current, nodes, config, versions, build_node, watch, import_client if calls else None)


def prices_of(plan: WorkflowPlan, resources: Resources, strict: bool = False) -> Prices:
    """Return what each model costs at most, None where nobody knows: such a call fits no budget in dollars.

    Raises:
        ProviderConfigError: with `strict`, if a budget in dollars cannot be kept for want of a price.
    """
    models = {model for node in plan.nodes if node.llm for model in node.llm.models} if plan.has_ledger else set()
    prices = {model: resources.providers.price_of(model) for model in sorted(models)}
    unknown = [model for model, price in prices.items() if price is None]
    in_dollars = [
        name for name in ("budget", "daily_budget") if (b := getattr(plan, name)) and b.max_cost_usd is not None
    ]
    if strict and unknown and in_dollars:
        raise ProviderConfigError(
            f"workflow {plan.id!r}: {in_dollars[0]}.max_cost_usd cannot be kept: the price of model {unknown[0]!r} is not "
            "known. Set it in penstock.toml (providers.NAME.prices), or limit max_tokens instead"
        )
    return prices
