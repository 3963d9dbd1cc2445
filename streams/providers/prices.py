"""What a call cost: the settings' prices first, then genai-prices (offline), else unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from streams.core.outcome import Usage
from streams.core.prices import Price
from streams.providers.config import ProviderConfig


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


def most_per_mtok(config: ProviderConfig, model: str, now: datetime) -> Price | None:
    """Return a bound of what `model` costs, None if nobody knows: list price, no discount, the dearest tier and hour."""
    if config.free:
        return Price(0.0, 0.0)
    known = _priced(config, model)
    if known is not None:
        return known
    if _listed(config, model, Usage(), 0) != 0.0:
        return None  # unknown, or a price for each request: no price per token bounds that
    # Off-peak prices are for hours of the day, and a worker runs for days.
    hours = [now + timedelta(hours=hour) for hour in range(24)]
    rates = [_rates(config, model, tokens, at) for tokens in (1_000, 1_000_000) for at in hours]
    return Price(max(rate[0] for rate in rates), max(rate[1] for rate in rates))


def _rates(config: ProviderConfig, model: str, tokens: int, at: datetime) -> tuple[float, float]:
    """Return dollars per million tokens in and out, as they are then for a call of so many of a listed model."""
    read = _listed(config, model, Usage(tokens, 0), 0, at) or 0.0
    both = _listed(config, model, Usage(tokens, tokens), 0, at) or 0.0
    return read * 1e6 / tokens, (both - read) * 1e6 / tokens


def _priced(config: ProviderConfig, model: str) -> Price | None:
    exact = config.prices.get(model)
    if exact is not None:
        return exact
    return next((price for name, price in config.prices.items() if fnmatchcase(model, name)), None)


def _listed(
    config: ProviderConfig, model: str, usage: Usage, cached_tokens: int, at: datetime | None = None
) -> float | None:
    """Look `model` up in genai-prices as of now or `at`: at the provider with this address, else wherever the name is known."""
    from genai_prices import Usage as Counted
    from genai_prices import calc_price

    counted = Counted(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=min(cached_tokens, usage.prompt_tokens),
    )
    if config.base_url is not None:
        try:
            priced = calc_price(counted, model, provider_api_url=config.base_url, genai_request_timestamp=at)
            return float(priced.total_price)
        except (LookupError, ValueError):
            pass  # a gateway: its address is in no price list
    try:
        return float(calc_price(counted, model, genai_request_timestamp=at).total_price)
    except (LookupError, ValueError):
        return None
