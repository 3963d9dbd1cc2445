"""Retention as the broker has it, beside what the workflow's promises need."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from topology.plan import WorkflowPlan
from topology.promises import Shortfall, duration, promises_of, shortfalls

log = structlog.get_logger(__name__)

RETENTION = "retention.ms"
SIZE = "retention.bytes"


async def warn_of_retention(plan: WorkflowPlan, config: EngineConfig) -> None:
    """Say which promises topics do not keep records long enough for, and when inputs outlive the state of their runs."""
    async with connected_admin(config) as admin:
        kept = await _settings(admin, {topic for promise in promises_of(plan) for topic in promise.topics})
    if not any(kept.values()):
        log.info(
            "the retention of topics is not known: this worker may not read it (DescribeConfigs)", workflow=plan.id
        )
        return
    for found in shortfalls(plan, kept):
        log.warning(said(found), workflow=plan.id)
    sized = sorted(topic for topic, settings in kept.items() if settings.get(SIZE, -1) >= 0)
    if sized:
        log.warning(
            f"topics have a {SIZE}: records may be deleted before any time that is promised",
            workflow=plan.id,
            topics=sized,
        )
    inputs = kept.get(plan.topic("input"), {}).get(RETENTION, -1)
    if inputs < 0 or inputs > plan.state_retention_ms:
        log.warning(
            "state_retention_ms is shorter than the input topic's retention: a run whose state was dropped cannot be redriven",
            workflow=plan.id,
            state_retention_ms=plan.state_retention_ms,
            input_retention_ms=inputs,
        )


def said(found: Shortfall) -> str:
    """Return what is to be told of a promise that does not hold."""
    promise = found.promise
    topics = ", ".join(f"{topic} {duration(kept)}" for topic, kept in sorted(found.kept_ms.items()))
    return (
        f"{promise.name!r} is promised for {duration(promise.needs_ms)} ({promise.by}), but {promise.setting} is shorter: {topics}. "
        f"Raise it (`kafka-configs --alter --entity-type topics --entity-name TOPIC --add-config {promise.setting}={promise.needs_ms}`)"
    )


async def _settings(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return what times and sizes topics have, by topic."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in sorted(topics)]
    found: dict[str, dict[str, int]] = {}
    for response in await admin.describe_configs(asked):
        for _, _, _, topic, entries in response.resources:
            told = {name: value for name, value, *_ in entries if name in (RETENTION, SIZE, "min.compaction.lag.ms")}
            found[topic] = {name: int(value) for name, value in told.items() if value is not None}
    return found
