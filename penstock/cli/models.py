"""Which models a worker's llm nodes get: the providers of the settings, or the local one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.cli import logs
from penstock.cli.errors import say

if TYPE_CHECKING:
    from penstock.settings import Settings
    from streams.providers.registry import ProviderRegistry
    from topology.plan import WorkflowPlan


def needs_model(plan: WorkflowPlan) -> bool:
    """Say whether any node calls a model."""
    return any(node.llm is not None for node in plan.nodes)


def configured(settings: Settings) -> ProviderRegistry:
    """Return the providers of the settings."""
    from streams.providers.registry import ProviderRegistry

    registry = ProviderRegistry(settings.provider_configs())
    logs.hide(registry.secrets)
    return registry


@contextmanager
def local(why: str) -> Iterator[ProviderRegistry]:
    """Start the local model, say so loudly, and stop it at the end."""
    from penstock import localmodel
    from streams.providers.config import local_provider
    from streams.providers.registry import ProviderRegistry

    model = localmodel.start()
    try:
        say(f"*** {why}: THE LOCAL MODEL {model.model!r} ANSWERS. It proves the plumbing; its answers are weak. ***")
        yield ProviderRegistry([local_provider(model.base_url, model.model)])
    finally:
        model.stop()
