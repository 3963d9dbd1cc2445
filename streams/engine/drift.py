"""Topics that are not as they were set: told, with the line that alters them. Nothing is altered by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from topology.plan import WorkflowPlan
from topology.sizes import CLEANUP, CLOCK, IN_SYNC, LARGEST, RETENTION, Sizes, Wanted, wanted

log = structlog.get_logger(__name__)

ALWAYS = frozenset({CLEANUP, CLOCK, LARGEST, IN_SYNC})
"""Settings that matter though nobody set them here; of others (retention, segments) an administrator's own choice stands."""


async def warn_of_drift(plan: WorkflowPlan, config: EngineConfig) -> None:
    """Say which topics differ from what is set."""
    async with connected_admin(config) as admin:
        topics = wanted(plan, config.sizes)
        found = await configs(admin, [topic.name for topic in topics])
        copies = await replication(admin, [topic.name for topic in topics])
    for line in drifted(topics, found, config):
        log.warning(line, workflow=plan.id)
    factor = config.sizes.replication_factor
    other = sorted(name for name, count in copies.items() if factor is not None and count != factor)
    if other:
        log.warning(
            f"replication_factor is {factor}, and topics that there were already have another one: it is changed by "
            "`kafka-reassign-partitions` alone",
            workflow=plan.id,
            topics={name: copies[name] for name in other},
        )


def drifted(topics: Iterable[Wanted], found: Mapping[str, Mapping[str, str]], config: EngineConfig) -> Iterator[str]:
    """Yield a line per topic whose settings are not those that are wanted."""
    for topic in topics:
        has = found.get(topic.name, {})
        other = {k: v for k, v in compared(topic, config.sizes).items() if k in has and not _same(k, has[k], v)}
        if other:
            told = ", ".join(f"{key} is {has[key]}, set is {value}" for key, value in sorted(other.items()))
            yield f"topic {topic.name} differs from what is set: {told}. To alter it: `{altering(topic.name, other, config.bootstrap)}`"


def compared(topic: Wanted, sizes: Sizes) -> dict[str, str]:
    """Return the settings of a topic that are looked at: those that were set, and those that always matter."""
    own = sizes.of(topic.purpose)
    keys = ALWAYS | set(own.config) | ({RETENTION} if own.retention_ms is not None else set())
    return {key: value for key, value in topic.config.items() if key in keys}


def altering(topic: str, settings: Mapping[str, str], bootstrap: str) -> str:
    """Return the line that alters a topic's settings; a value with commas stands in brackets, as the tool wants it."""
    said = ",".join(f"{k}=[{v}]" if "," in v else f"{k}={v}" for k, v in sorted(settings.items()))
    return f"kafka-configs --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {topic} --add-config {said}"


def _same(key: str, has: str, wants: str) -> bool:
    if key == CLEANUP:
        return set(has.split(",")) == set(wants.split(","))
    if key == LARGEST:
        return int(has) >= int(wants)
    return has == wants


async def configs(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the settings of topics."""
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]):
        for _, _, _, name, entries in response.resources:
            found[name] = {key: str(value) for key, value, *_ in entries if value is not None}
    return found


async def replication(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[str, int]:
    """Return how many copies topics have."""
    described = await admin.describe_topics(topics)
    return {
        topic["topic"]: len(topic["partitions"][0]["replicas"])
        for topic in described
        if not topic["error_code"] and topic["partitions"]
    }
