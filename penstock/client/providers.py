"""How providers stand: what the settings say of each, and what workers have told of their breakers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer

from penstock.client import reading
from schemas.codec import loads
from streams.core.dead_letter import iso
from streams.providers.config import ProviderConfig
from topology.naming import PROVIDER_STATES

WORST = ("open", "half_open", "closed")


async def told(reader: AIOKafkaConsumer, partitions: int) -> list[dict[str, Any]]:
    """Return what workers last told of their breakers, one entry for each worker and model."""
    found: dict[bytes, dict[str, Any] | None] = {}
    async for record in reading.to_end(reader, reading.places_of(PROVIDER_STATES, partitions)):
        try:
            said = None if record.value is None else loads(record.value)
        except ValueError:
            continue
        found[record.key or b""] = said if isinstance(said, dict) else None
    return [said for said in found.values() if said is not None]


def lines(configs: Iterable[ProviderConfig], said: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a line for each provider and model of which anything is known; the worst state of any worker counts."""
    by_model: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in said:
        by_model.setdefault((str(entry.get("provider")), str(entry.get("model"))), []).append(entry)
    found = []
    for config in configs:
        models = sorted({*config.models, *(model for provider, model in by_model if provider == config.name)})
        found += [_line(config, model, by_model.get((config.name, model), [])) for model in models or ["*"]]
    return found


def _line(config: ProviderConfig, model: str, entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    worst = min(entries, key=lambda entry: WORST.index(entry.get("state", "closed")), default=None)
    return {
        "provider": config.name,
        "model": model,
        "state": "closed" if worst is None else worst["state"],
        "since": None if worst is None else iso(worst["since"]),
        "why": None if worst is None or worst["state"] == "closed" else worst["why"],
        "base_url": config.base_url,
        "requests_per_minute": config.requests_per_minute,
        "tokens_per_minute": config.tokens_per_minute,
        "workers": [
            {"worker": entry["worker"], "state": entry["state"], "since": iso(entry["since"])} for entry in entries
        ],
    }
