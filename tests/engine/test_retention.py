"""Topics that keep records for less time than a promise needs are named when a worker starts."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from structlog.testing import capture_logs

from streams.engine.config import EngineConfig
from streams.engine.retention import warn_of_retention
from streams.engine.topics import ensure_topics
from tests.kafka_tools import unique
from tests.plans import CHAIN, plan_of
from topology.promises import DAY_MS

pytestmark = pytest.mark.kafka


async def test_what_is_kept_too_short_is_told(bootstrap: str) -> None:
    plan, config = plan_of(CHAIN, unique("kept"), state_retention_ms=7 * DAY_MS), EngineConfig(bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        settings = {"retention.ms": str(DAY_MS), "retention.bytes": "1000000"}
        await admin.create_topics([NewTopic(plan.topic("input"), plan.partitions, 1, topic_configs=settings)])
    finally:
        await admin.close()
    await ensure_topics(plan, config)
    with capture_logs() as told:
        await warn_of_retention(plan, config)
    assert [line["log_level"] for line in told] == ["warning"] * 3
    first, second, third = (line["event"] for line in told)
    short = f"retention.ms is shorter: {plan.topic('input')} 1 day. Raise it"
    assert first.startswith("'replay, redrive, fork' is promised for 7 days (state_retention_ms)")
    assert short in first
    assert second.startswith("'workers that were away go on'")
    assert short in second
    assert (third.split(":")[0], told[2]["topics"]) == ("topics have a retention.bytes", [plan.topic("input")])


async def test_topics_as_they_are_created_keep_every_promise(bootstrap: str) -> None:
    plan, config = plan_of(CHAIN, unique("whole"), state_retention_ms=7 * DAY_MS), EngineConfig(bootstrap)
    await ensure_topics(plan, config)
    with capture_logs() as told:
        await warn_of_retention(plan, config)
    assert [line["event"].split(":")[0] for line in told] == [
        "state_retention_ms is shorter than the input topic's retention"
    ]
