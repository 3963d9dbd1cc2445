"""Dollars per call: the list prices of the models the patterns name, from genai-prices, read once."""

from __future__ import annotations

from functools import lru_cache

from genai_prices import Usage, calc_price


@lru_cache
def per_token(model: str) -> tuple[float, float]:
    """Return dollars per prompt token and per completion token."""
    read = calc_price(Usage(input_tokens=1_000_000, output_tokens=0), model).total_price
    written = calc_price(Usage(input_tokens=0, output_tokens=1_000_000), model).total_price
    return float(read) / 1e6, float(written) / 1e6


def dollars(model: str, prompt_tokens: int, completion_tokens: int) -> float:
    """Return what a call costs."""
    read, written = per_token(model)
    return prompt_tokens * read + completion_tokens * written
