"""Access to models: which provider has a model, one call, what it cost. Nothing here retries or touches a topic."""

from streams.core.prices import Price
from streams.providers.config import DEFAULT_PROVIDER, ProviderConfig, local_provider
from streams.providers.openai_chat import ChatProvider, ChatRequest
from streams.providers.registry import ProviderRegistry

__all__ = [
    "DEFAULT_PROVIDER",
    "ChatProvider",
    "ChatRequest",
    "Price",
    "ProviderConfig",
    "ProviderRegistry",
    "local_provider",
]
