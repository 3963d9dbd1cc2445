"""A provider's settings, resolved: no environment and no file is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import SecretStr

from streams.core.prices import Price

DEFAULT_PROVIDER = "default"
"""The provider that has every model no other one claims."""

MaxTokensParam = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """How to reach one provider and which models it has (names or globs).

    `base_url` None is the OpenAI client's own default; `model_override` is asked for instead of the workflow's model;
    `free` calls cost nothing whatever the model's name is; `schema_extras` go into the root of every output schema sent;
    `keep_raw` says whether models' raw answers go to the journal.
    """

    name: str
    api_key: SecretStr
    base_url: str | None = None
    models: tuple[str, ...] = ()
    max_tokens_param: MaxTokensParam = "max_tokens"
    prices: Mapping[str, Price] = field(default_factory=dict)
    model_override: str | None = None
    free: bool = False
    schema_extras: Mapping[str, Any] = field(default_factory=dict)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    keep_raw: bool = True

    def claims(self, model: str) -> bool:
        """Say whether one of its names or globs is `model`."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)


def local_provider(base_url: str, model: str) -> ProviderConfig:
    """Return the configuration of a local model: it answers for every model name and costs nothing."""
    # Its grammar engine lets a model write blanks without end between two tokens of JSON; a small one does.
    compact = {"x-guidance": {"whitespace_flexible": False}}
    return ProviderConfig(
        "local", SecretStr("none"), base_url, ("*",), model_override=model, free=True, schema_extras=compact
    )
