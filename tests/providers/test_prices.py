"""Costs: from the settings, from the price list, unknown, none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from genai_prices import Usage as Counted
from genai_prices import calc_price
from pydantic import SecretStr

from streams.core.outcome import Usage
from streams.providers import Price, ProviderConfig, local_provider
from streams.providers.prices import cost_usd, most_per_mtok

MILLION = Usage(1_000_000, 1_000_000)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
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


# ---- what a call costs at most --------------------------------------------------------------------------------------


def test_the_most_is_the_list_price_without_the_discount_for_what_is_cached() -> None:
    assert most_per_mtok(GATEWAY, "gpt-4o-mini", NOON) == pytest.approx(Price(0.15, 0.6))


def test_the_most_is_what_settings_say_and_nothing_for_a_free_model() -> None:
    config = ProviderConfig("g", SecretStr("k"), prices={"gpt-*": Price(10.0, 20.0)})
    assert most_per_mtok(config, "gpt-4o-mini", NOON) == Price(10.0, 20.0)
    assert most_per_mtok(local_provider("http://127.0.0.1:9/v1", "x"), "gpt-4o", NOON) == Price(0.0, 0.0)


def test_the_most_of_a_model_nobody_knows_is_unknown() -> None:
    assert most_per_mtok(GATEWAY, "my-own", NOON) is None


def test_a_price_for_each_request_is_bounded_by_no_price_per_token() -> None:
    perplexity = ProviderConfig("p", SecretStr("k"), "https://api.perplexity.ai")
    assert cost_usd(perplexity, "sonar", None, Usage(1, 0)) == pytest.approx(0.012, rel=0.01)
    assert most_per_mtok(perplexity, "sonar", NOON) is None


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        pytest.param("claude-sonnet-4-5", id="dearer for long prompts"),
        pytest.param("deepseek-chat", id="cheaper at night"),
    ],
)
@pytest.mark.parametrize("tokens", [1, 50_000, 199_000, 201_000, 900_000])
@pytest.mark.parametrize("asked", [0, 8], ids=["asked at noon", "asked at night"])
def test_no_call_costs_more_than_the_most_whatever_its_length_and_hour(model: str, tokens: int, asked: int) -> None:
    most = most_per_mtok(GATEWAY, model, NOON + timedelta(hours=asked))
    assert most is not None
    for hour in range(24):
        at = NOON + timedelta(hours=hour)
        used = Counted(input_tokens=tokens, output_tokens=1_000)
        cost = float(calc_price(used, model, genai_request_timestamp=at).total_price)
        assert cost <= most.cost_usd(tokens, 1_000) * (1 + 1e-9)
