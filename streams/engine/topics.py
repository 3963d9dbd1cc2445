"""Topics of a workflow on the broker: create what is missing, refuse what does not fit."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAlreadyExistsError, for_code

from streams.engine.access import cluster_acl, denied
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.engine.processor import CO_PARTITIONED
from streams.errors import EngineFailure, TopicMismatch
from topology.naming import RUN_TABLE, provider_states_topic
from topology.plan import WorkflowPlan
from topology.sizes import shared_config, wanted

VISIBLE_WITHIN_S = 30


async def ensure_topics(plan: WorkflowPlan, config: EngineConfig, made_with: int | None = None) -> int:
    """Create the workflow's missing topics and changelogs; return its partition count. `made_with` is the one that was recorded.

    Raises:
        TopicMismatch: a topic that must have the workflow's partition count has another one.
        BrokerUnreachable: no broker answers.
    """
    async with connected_admin(config) as admin:
        existing = await partition_counts(admin)
        count = existing.get(plan.topic("run")) or config.partitions or plan.partitions
        _check(plan, existing, count, config.partitions, made_with)
        copies = config.sizes.replication_factor or await _default_replication(admin, config)
        missing = [
            NewTopic(topic.name, count, copies, topic_configs=dict(topic.config))
            for topic in wanted(plan, config.sizes)
            if topic.name not in existing
        ]
        await create(admin, missing)
        return count


async def ensure_provider_states(config: EngineConfig) -> None:
    """Create the topic of breaker states if it is not there."""
    await ensure_shared(provider_states_topic(), config)


async def ensure_shared(name: str, config: EngineConfig) -> frozenset[str]:
    """Create a compacted topic of one partition that all workflows share, if it is not there; return the topics there were."""
    async with connected_admin(config) as admin:
        existing = frozenset(await partition_counts(admin))
        if name not in existing:
            copies = config.sizes.replication_factor or await _default_replication(admin, config)
            await create(admin, [NewTopic(name, 1, copies, topic_configs=shared_config(config.sizes))])
        return existing


async def partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Return every topic on the broker with its number of partitions."""
    described = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


async def _default_replication(admin: AIOKafkaAdminClient, config: EngineConfig) -> int:
    """Return the broker's `default.replication.factor`: aiokafka's create request is too old to leave it to the broker."""
    brokers = (await admin.describe_cluster())["brokers"]
    resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["node_id"]))
    for response in await admin.describe_configs([resource]):
        for code, _, _, _, entries in response.resources:
            if code == ClusterAuthorizationFailedError.errno:
                raise denied([cluster_acl()], config)
            for key, value, *_ in entries:
                if key == "default.replication.factor" and value:
                    return int(value)
    return min(3, len(brokers))


def _check(
    plan: WorkflowPlan, existing: dict[str, int], count: int, asked: int | None, made_with: int | None = None
) -> None:
    """Refuse another count than the one that runs were put in their partitions by."""
    run = plan.topic("run")
    move = f"`penstock repartition {plan.id} --partitions"
    if made_with is not None and run in existing and existing[run] != made_with:
        raise TopicMismatch(
            f"topic {run!r} has {existing[run]} partitions, the workflow's topics were made with {made_with}: somebody altered "
            f"it, and runs would be looked for in another partition than theirs. Stop all workers, then {move} {existing[run]}` "
            "moves every run to its partition"
        )
    fixed = [topic.name for topic in plan.topics if topic.purpose in CO_PARTITIONED]
    for name in fixed + [table.changelog for table in plan.tables]:
        if existing.get(name, count) != count:
            raise TopicMismatch(
                f"topic {name!r} has {existing[name]} partitions, {run!r} has {count}: they must be equal, for a run has one "
                f"partition in all of them. Delete that topic if it holds nothing; else stop all workers, and {move} {count}` "
                "moves every run to its partition"
            )
    if asked is not None and asked != count:
        raise TopicMismatch(
            f"workflow {plan.id!r} has {count} partitions, --partitions asks for {asked}: the count is fixed when the topics "
            f"are created, since a run's partition follows from it. Leave --partitions out, or, with no run in flight, stop "
            f"all workers and move it: {move} {asked}`"
        )
    _check_names(plan, existing)


def _check_names(plan: WorkflowPlan, existing: dict[str, int]) -> None:
    """Refuse another workflow's changelog: `a` with a node `b_x` and `a-b` with a node `x` would write to the same one."""
    journal_of = {node.table: node.topic for node in plan.nodes} | {RUN_TABLE: plan.topic("run")}
    for table in plan.tables:
        journal = journal_of.get(table.name)
        if journal is not None and table.changelog in existing and journal not in existing:
            raise TopicMismatch(
                f"changelog {table.changelog!r} exists, but {journal!r} does not: it is another workflow's, whose id and "
                f"node read the same when joined by '-'. Rename workflow {plan.id!r} or the node"
            )


async def create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    """Create topics, and wait until every client sees them."""
    if not topics:
        return
    response = await admin.create_topics(topics)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if error is not KafkaError and code != 0 and error is not TopicAlreadyExistsError:
            raise EngineFailure(
                f"topic {name!r} could not be created: {error.__name__}: {message[0] if message else ''}"
            )
    await _until_visible(admin, [topic.name for topic in topics])


async def _until_visible(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until the broker's metadata shows every partition: a client that subscribes before gets nothing assigned."""
    try:
        async with asyncio.timeout(VISIBLE_WITHIN_S):
            while names:
                described = await admin.describe_topics(names)
                names = [t["topic"] for t in described if t["error_code"] or not all(_led(p) for p in t["partitions"])]
                await asyncio.sleep(0.05 if names else 0)
    except TimeoutError:
        raise EngineFailure(f"created topics are not visible after {VISIBLE_WITHIN_S} s: {', '.join(names)}") from None


def _led(partition: dict[str, int]) -> bool:
    return bool(partition["leader"] >= 0)
