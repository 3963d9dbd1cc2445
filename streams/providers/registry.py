"""Which provider has a model: exactly one, or an error that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from streams.core.prices import Price
from streams.errors import ProviderConfigError
from streams.providers.config import DEFAULT_PROVIDER, ProviderConfig
from streams.providers.gate import Gate
from streams.providers.openai_chat import CallWatch, ChatProvider
from streams.providers.prices import most_per_mtok


class ProviderRegistry:
    """All providers of a worker."""

    def __init__(self, configs: Iterable[ProviderConfig] = ()) -> None:
        self._providers: dict[str, ChatProvider] = {}
        for config in configs:
            if config.name in self._providers:
                raise ProviderConfigError(f"two providers are called {config.name!r}")
            self._providers[config.name] = ChatProvider(config)

    @property
    def configs(self) -> tuple[ProviderConfig, ...]:
        """Every provider's configuration."""
        return tuple(provider.config for provider in self._providers.values())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every provider's key, for texts to be redacted."""
        return tuple(config.api_key.get_secret_value() for config in self.configs)

    def provider_for(self, model: str) -> ChatProvider:
        """Return the provider that claims `model`, else the default one; ProviderConfigError if none or two do."""
        claiming = [provider for provider in self._providers.values() if provider.config.claims(model)]
        if len(claiming) > 1:
            names = " and ".join(repr(provider.config.name) for provider in claiming)
            raise ProviderConfigError(f"model {model!r} is claimed by the providers {names}: it may belong to one only")
        if claiming:
            return claiming[0]
        if DEFAULT_PROVIDER in self._providers:
            return self._providers[DEFAULT_PROVIDER]
        raise ProviderConfigError(
            f"no provider for model {model!r}: set OPENAI_API_KEY or OPENAI_BASE_URL, "
            "name a provider in penstock.toml, or use the local model"
        )

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Every provider's gate."""
        return tuple(provider.gate for provider in self._providers.values())

    def watch(self, watch: CallWatch) -> None:
        """Have every provider's calls watched."""
        for provider in self._providers.values():
            provider.watch = watch

    def price_of(self, model: str) -> Price | None:
        """Return a bound of what `model` costs in dollars per million tokens, None if nobody knows."""
        return most_per_mtok(self.provider_for(model).config, model, datetime.now(UTC))

    async def aclose(self) -> None:
        """Close every client; one that fails to close does not keep the others open."""
        await asyncio.gather(*(provider.aclose() for provider in self._providers.values()), return_exceptions=True)
