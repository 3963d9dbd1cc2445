"""What the catalogue knows of articles: asked once for many runs."""

from collections.abc import Mapping, Sequence
from typing import Any

CATALOGUE = {"BK": ("books", 7), "GR": ("groceries", 7), "EL": ("electronics", 19), "TX": ("textiles", 19)}


def handle(inputs: Sequence[Mapping[str, Any]], contexts: Sequence[Any]) -> list[dict[str, Any] | Exception]:
    """Return category and VAT (per cent) for each article; one that nobody knows fails alone."""
    return [article(each["input"]["sku"]) for each in inputs]


def article(sku: str) -> dict[str, Any] | Exception:
    """Return what is known of an article, or why nothing is."""
    found = CATALOGUE.get(sku[:2])
    if found is None:
        return LookupError(f"no such article: {sku}")
    category, vat = found
    return {"sku": sku, "category": category, "vat": vat}
