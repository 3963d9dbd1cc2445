"""A model belongs to exactly one provider."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from streams.errors import ProviderConfigError
from streams.providers import Price, ProviderConfig, ProviderRegistry, local_provider


def config(name: str, *models: str) -> ProviderConfig:
    return ProviderConfig(name, SecretStr("key-of-" + name), "http://127.0.0.1:9/v1", models)


def test_names_globs_and_the_rest() -> None:
    registry = ProviderRegistry([config("default"), config("acme", "gpt-4o", "gpt-4o-*"), config("other", "claude-?")])
    models = ["gpt-4o", "gpt-4o-mini", "gpt-4", "claude-3", "claude-33"]
    assert [registry.provider_for(model).config.name for model in models] == [
        "acme",
        "acme",
        "default",
        "other",
        "default",
    ]


def test_two_claims_are_refused() -> None:
    registry = ProviderRegistry([config("a", "gpt-*"), config("b", "*-mini")])
    with pytest.raises(ProviderConfigError, match="'gpt-4o-mini' is claimed by the providers 'a' and 'b'"):
        registry.provider_for("gpt-4o-mini")


def test_no_provider_says_what_to_do() -> None:
    with pytest.raises(ProviderConfigError, match="OPENAI_API_KEY or OPENAI_BASE_URL"):
        ProviderRegistry().provider_for("gpt-4o")


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ProviderConfigError, match="'a'"):
        ProviderRegistry([config("a"), config("a")])


def test_the_local_model_answers_for_all() -> None:
    registry = ProviderRegistry([local_provider("http://127.0.0.1:9/v1", "smollm2")])
    assert registry.provider_for("anything").config.model_override == "smollm2"


def test_a_key_is_never_shown() -> None:
    assert "key-of-a" not in repr(config("a"))


async def test_closing_what_was_never_opened() -> None:
    await ProviderRegistry([config("a")]).aclose()


def test_a_models_price_is_its_providers() -> None:
    acme = ProviderConfig("acme", SecretStr("k"), models=("gpt-4o",), prices={"gpt-4o": Price(1.0, 2.0)})
    registry = ProviderRegistry([config("default"), acme])
    assert registry.price_of("gpt-4o") == Price(1.0, 2.0)
    assert registry.price_of("my-own") is None
