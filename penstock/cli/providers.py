"""`penstock providers`: breaker state and limits of each provider and model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.cli import logs, loops, output, target
from penstock.cli.errors import say
from penstock.cli.options import AsJson, Bootstrap

if TYPE_CHECKING:
    from streams.engine.config import EngineConfig
    from streams.providers.config import ProviderConfig


def providers(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show providers: their limits, and where a breaker holds calls back. Workers tell; all is closed until one does."""
    from penstock import settings

    logs.quiet()
    configs = settings.load().provider_configs()
    found = loops.run(_lines(target.config_of(bootstrap), configs))
    if not found:
        say("penstock: no provider is configured: set OPENAI_API_KEY or OPENAI_BASE_URL, or name one in penstock.toml")
    if as_json:
        for line in found:
            output.line(line)
        return
    columns = ("provider", "model", "state", "since", "requests_per_minute", "tokens_per_minute", "base_url", "why")
    output.table(columns, [[line[column] for column in columns] for line in found])


async def _lines(config: EngineConfig, configs: tuple[ProviderConfig, ...]) -> list[dict[str, Any]]:
    from penstock.client import connections, providers, workflows
    from topology.naming import provider_states_topic

    topics = await workflows.topics_on(config)
    async with connections.reader(config) as reader:
        said = await providers.told(reader, topics.get(provider_states_topic(), 0))
    return providers.lines(configs, providers.standing(said, time.time_ns() // 1_000_000))
