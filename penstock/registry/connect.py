"""From settings to the wire that the engine and the commands use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.registry.client import Access, Registry
from penstock.registry.subjects import prepare
from penstock.registry_settings import RegistrySettings
from streams.engine.wire import Wire
from topology.plan import WorkflowPlan


def access_of(settings: RegistrySettings) -> Access:
    """Return where the registry is; one must be set."""
    assert settings.schema_registry_url is not None  # noqa: S101 - the caller asked
    return Access(
        settings.schema_registry_url,
        settings.schema_registry_username,
        settings.schema_registry_password,
        settings.schema_registry_token,
        settings.schema_registry_ca_file,
    )


def connect(settings: RegistrySettings) -> Wire:
    """Return how records look to the registry of the settings; it is asked when something is not known, and a worker starts."""
    access, registers = access_of(settings), settings.schema_registry_auto_register

    async def fetch(ids: Iterable[int]) -> Mapping[int, str | None]:
        wanted = list(ids)
        async with Registry(access) as registry:
            found = await asyncio.gather(*(registry.schema(schema_id) for schema_id in wanted))
        return dict(zip(wanted, found, strict=True))

    async def prepared(plan: WorkflowPlan, wire: Wire) -> None:
        async with Registry(access) as registry:
            await prepare(plan, registry, wire, registers)

    async def values_of(topic: str) -> tuple[Any, int] | None:
        async with Registry(access) as registry:
            latest = await registry.latest(f"{topic}-value")
        return None if latest is None or latest.kind != "AVRO" else (json.loads(latest.schema), latest.id)

    return Wire(fetch, prepared, values_of)
