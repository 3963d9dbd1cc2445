"""Topics as a move needs them: what they are set to, copies of them, and themselves anew."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from penstock.client.repartition.note import Moving
from streams.engine.drift import replication
from streams.engine.topics import create, partition_counts
from streams.errors import EngineFailure
from topology.sizes import CLEANUP, CLOCK, IN_SYNC, LARGEST, RETENTION, SIZE

TOPIC_CONFIG = 1
"""Where a setting comes from, as Kafka tells: somebody set it for this topic."""
PRODUCERS_CLOCK = "CreateTime"


async def moving(admin: AIOKafkaAdminClient, roles: Mapping[str, str]) -> tuple[Moving, ...]:
    """Return topics as they are set now."""
    copies, found = await replication(admin, list(roles)), []
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in roles]
    for response in await admin.describe_configs(resources):
        for _, _, _, name, entries in response.resources:
            own = {
                key: str(value) for key, value, _, source, *_ in entries if source == TOPIC_CONFIG and value is not None
            }
            found.append(Moving(name, roles[name], own, copies[name]))
    return tuple(found)


def keeping(topic: Moving) -> dict[str, str]:
    """Return the settings of a topic's copy: it keeps all it is given, with the times it is given."""
    kept = {key: value for key, value in topic.config.items() if key in (LARGEST, IN_SYNC)}
    return {**kept, CLEANUP: "delete", RETENTION: "-1", SIZE: "-1", CLOCK: PRODUCERS_CLOCK}


def while_filled(topic: Moving) -> dict[str, str]:
    """Return the settings of a topic while it is filled: records keep their times."""
    return {**topic.config, CLOCK: PRODUCERS_CLOCK} if CLOCK in topic.config else dict(topic.config)


async def make(
    admin: AIOKafkaAdminClient, partitions: int, topics: Mapping[str, tuple[int, Mapping[str, str]]]
) -> None:
    """Create topics (their copies and settings), and make sure that they are the ones that were asked for."""
    await create(
        admin, [NewTopic(name, partitions, n, topic_configs=dict(config)) for name, (n, config) in topics.items()]
    )
    there = await partition_counts(admin)
    for name in topics:
        if there.get(name) != partitions:
            raise EngineFailure(f"topic {name!r} has {there.get(name)} partitions, it was just made with {partitions}")


async def settle(admin: AIOKafkaAdminClient, topic: Moving) -> None:
    """Give a topic the settings it had."""
    if while_filled(topic) == dict(topic.config):
        return
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=dict(topic.config))]
    for response in await admin.alter_configs(asked):
        for code, message, *_ in response.resources:
            if code:
                raise EngineFailure(f"topic {topic.name!r} could not be altered: {for_code(code).__name__}: {message}")
