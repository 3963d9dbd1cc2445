"""Costs: from the settings, from the price list, unknown, none."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from streams.core.outcome import Usage
from streams.providers import Price, ProviderConfig, local_provider
from streams.providers.prices import cost_usd

MILLION = Usage(1_000_000, 1_000_000)
GATEWAY = ProviderConfig("g", SecretStr("k"), "http://127.0.0.1:9/v1")


def test_a_known_model_behind_an_unknown_address() -> None:
    assert cost_usd(GATEWAY, "gpt-4o-mini", None, MILLION) == pytest.approx(0.75)


def test_the_answered_model_is_looked_up_first() -> None:
    assert cost_usd(GATEWAY, "my-alias", "gpt-4o-mini-2024-07-18", MILLION) == pytest.approx(0.75)


def test_an_answered_name_nobody_knows_falls_back_to_the_requested_one() -> None:
    assert cost_usd(GATEWAY, "gpt-4o-mini", "deployment-7", MILLION) == pytest.approx(0.75)


def test_an_unknown_model_is_unknown() -> None:
    assert cost_usd(GATEWAY, "my-own", "my-own", MILLION) is None


def test_settings_win() -> None:
    config = ProviderConfig("g", SecretStr("k"), prices={"gpt-4o-mini": Price(10.0, 20.0)})
    assert cost_usd(config, "gpt-4o-mini", "gpt-4o-mini-2024-07-18", MILLION) == pytest.approx(30.0)


def test_uncounted_is_unknown_but_a_free_model_stays_free() -> None:
    assert cost_usd(GATEWAY, "gpt-4o-mini", None, None) is None
    assert cost_usd(local_provider("http://127.0.0.1:9/v1", "x"), "gpt-4o", None, None) == 0.0


def test_cached_tokens_are_cheaper() -> None:
    cached = cost_usd(GATEWAY, "gpt-4o-mini", None, MILLION, cached_tokens=1_000_000)
    assert cached is not None
    assert cached < 0.75
