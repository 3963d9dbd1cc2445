"""How providers stand: what the settings say of each, and what workers have told of their breakers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer

from penstock.client import reading
from schemas.codec import loads
from streams.core.breaker import BreakerPolicy
from streams.core.dead_letter import iso
from streams.providers.config import ProviderConfig
from streams.providers.redact import redact
from topology.naming import provider_states_topic

WORST = ("open", "half_open", "closed")

SILENT_MS = BreakerPolicy().longest_probe_ms
"""A breaker of which nothing is heard for so long after it was to be tried holds nothing back: nobody asks, or the worker was killed."""


async def told(reader: AIOKafkaConsumer, partitions: int) -> list[dict[str, Any]]:
    """Return what workers last told of their breakers, one entry for each worker and model."""
    found: dict[bytes, dict[str, Any] | None] = {}
    async for record in reading.to_end(reader, reading.places_of(provider_states_topic(), partitions)):
        try:
            said = None if record.value is None else loads(record.value)
        except ValueError:
            continue
        found[record.key or b""] = said if _is_state(said) else None
    return [said for said in found.values() if said is not None]


def standing(said: Iterable[Mapping[str, Any]], now: int) -> list[Mapping[str, Any]]:
    """Return what still holds at `now` (epoch ms): a worker that is killed does not take back what it told."""
    return [entry for entry in said if entry["state"] == "closed" or now <= _heard_of_by(entry) + SILENT_MS]


def _heard_of_by(entry: Mapping[str, Any]) -> int:
    until = entry.get("until")
    since: int = entry["since"]
    return max(since, until) if isinstance(until, int) else since


def _is_state(said: Any) -> bool:
    """Say whether a record is a worker's: the topic is open to everybody who may write to the broker."""
    if not isinstance(said, dict) or said.get("state") not in WORST or not isinstance(said.get("since"), int):
        return False
    return all(isinstance(said.get(name), str) for name in ("provider", "model", "worker"))


def lines(configs: Iterable[ProviderConfig], said: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a line for each provider and model of which anything is known; the worst state of any worker counts.

    A provider that only a worker knows (its settings are others, or it runs the local model) has a line, too.
    """
    by_model: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in said:
        by_model.setdefault((entry["provider"], entry["model"]), []).append(entry)
    known = {config.name: config for config in configs}
    found = []
    for name in (*known, *sorted({provider for provider, _ in by_model} - known.keys())):
        config = known.get(name)
        claimed = () if config is None else config.models
        models = sorted({*claimed, *(model for provider, model in by_model if provider == name)})
        found += [_line(name, config, model, by_model.get((name, model), [])) for model in models or ["*"]]
    return found


def _line(name: str, config: ProviderConfig | None, model: str, entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    worst = min(entries, key=lambda entry: WORST.index(entry["state"]), default=None)
    return {
        "provider": name,
        "model": model,
        "state": "closed" if worst is None else worst["state"],
        "since": None if worst is None else iso(worst["since"]),
        "why": None if worst is None or worst["state"] == "closed" else worst.get("why"),
        "base_url": None if config is None else _address(config),
        "models": [] if config is None else list(config.models),
        "requests_per_minute": None if config is None else config.requests_per_minute,
        "tokens_per_minute": None if config is None else config.tokens_per_minute,
        "workers": [
            {"worker": entry["worker"], "state": entry["state"], "since": iso(entry["since"])} for entry in entries
        ],
    }


def _address(config: ProviderConfig) -> str | None:
    """Return where a provider is, without what people put into addresses of gateways: passwords, tokens, keys."""
    if config.base_url is None:
        return None
    parts = urlsplit(config.base_url)
    host = parts.netloc.rpartition("@")[2]
    return redact(f"{parts.scheme}://{host}{parts.path}", (config.api_key.get_secret_value(),))
