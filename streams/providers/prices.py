"""What a call cost: the settings' prices first, then genai-prices (offline), else unknown."""

from __future__ import annotations

from fnmatch import fnmatchcase

from streams.core.outcome import Usage
from streams.providers.config import Price, ProviderConfig


def cost_usd(
    config: ProviderConfig, requested: str, answered: str | None, usage: Usage | None, cached_tokens: int = 0
) -> float | None:
    """Return dollars, or None if nobody knows the price or the provider did not count."""
    if config.free:
        return 0.0
    if usage is None:
        return None
    names = [requested] if answered in (None, requested) else [str(answered), requested]
    price = next((found for name in reversed(names) if (found := _priced(config, name))), None)
    if price is not None:
        return (
            usage.prompt_tokens * price.input_per_mtok + usage.completion_tokens * price.output_per_mtok
        ) / 1_000_000
    return next((cost for name in names if (cost := _listed(config, name, usage, cached_tokens)) is not None), None)


def _priced(config: ProviderConfig, model: str) -> Price | None:
    exact = config.prices.get(model)
    if exact is not None:
        return exact
    return next((price for name, price in config.prices.items() if fnmatchcase(model, name)), None)


def _listed(config: ProviderConfig, model: str, usage: Usage, cached_tokens: int) -> float | None:
    """Look `model` up in genai-prices: at the provider whose address this is, else wherever the name is known."""
    from genai_prices import Usage as Counted
    from genai_prices import calc_price

    counted = Counted(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=min(cached_tokens, usage.prompt_tokens),
    )
    if config.base_url is not None:
        try:
            return float(calc_price(counted, model, provider_api_url=config.base_url).total_price)
        except (LookupError, ValueError):
            pass  # a gateway: its address is in no price list
    try:
        return float(calc_price(counted, model).total_price)
    except (LookupError, ValueError):
        return None
