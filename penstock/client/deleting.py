"""Delete everything a workflow left on a broker: topics, changelogs, the positions of its consumer group, its recorded versions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, KafkaError, NonEmptyGroup, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from penstock.client.errors import InUse
from penstock.client.workflows import nodes_among
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.engine.plans import forget
from streams.engine.topics import partition_counts
from streams.errors import EngineFailure
from topology.naming import changelog_topic, consumer_group, input_topic, node_table
from topology.plan import WorkflowPlan

GONE_WITHIN_S = 30
GROUP_EMPTY_WITHIN_S = 15
"""Longer than a session lasts: a worker that was killed counts as a member until then."""


async def delete_workflow(plan: WorkflowPlan, config: EngineConfig) -> list[str]:
    """Delete the workflow's topics and group and wait until they are gone; return the names of the topics.

    Raises:
        InUse: a worker of the workflow is running.
    """
    async with connected_admin(config) as admin:
        await _delete_group(admin, plan.id)
        doomed = _doomed(plan, await partition_counts(admin))
        await delete_topics(admin, doomed)
    await forget(plan, config)
    return doomed


async def delete_topics(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Delete topics, should they be there, and wait until they are gone."""
    if not names:
        return
    response = await admin.delete_topics(list(names))
    for name, code in response.topic_error_codes:
        if code and for_code(code) is not UnknownTopicOrPartitionError:
            raise EngineFailure(f"topic {name!r} could not be deleted: {for_code(code).__name__}")
    await _until_gone(admin, names)


def _doomed(plan: WorkflowPlan, existing: Iterable[str]) -> list[str]:
    """Return what is the workflow's, nodes that an earlier version of the file had included."""
    existing = set(existing)
    prefix = input_topic(plan.id).removesuffix("input")
    public = {name for name in existing if name.startswith(prefix)}
    former = {changelog_topic(plan.id, node_table(node)) for node in nodes_among(plan.id, existing)}
    planned = {topic.name for topic in plan.topics} | {table.changelog for table in plan.tables}
    return sorted((public | former | planned) & existing)


async def _delete_group(admin: AIOKafkaAdminClient, workflow_id: str) -> None:
    group = consumer_group(workflow_id)
    refused: type[KafkaError] | None = None
    try:
        async with asyncio.timeout(GROUP_EMPTY_WITHIN_S):
            while True:
                refused = await _group_error(admin, group)
                if refused is None:
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        if refused is NonEmptyGroup:
            raise InUse(
                f"a worker of workflow {workflow_id!r} is running: stop it first, --fresh would delete its topics under it"
            ) from None
        raise EngineFailure(f"consumer group {group!r} could not be deleted: {refused}") from None


async def _group_error(admin: AIOKafkaAdminClient, group: str) -> type[KafkaError] | None:
    """Ask for the group's end; return why it was refused, None if it is gone. aiokafka has the request but no method."""
    try:
        coordinator = await admin.find_coordinator(group)
    except KafkaError as error:
        return type(error)
    response = await admin._send_request(DeleteGroupsRequest([group]), coordinator)  # noqa: SLF001
    [(_, code)] = response.results
    return None if code == 0 or for_code(code) is GroupIdNotFound else for_code(code)


async def _until_gone(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    try:
        async with asyncio.timeout(GONE_WITHIN_S):
            while True:
                if not set(names) & set(await admin.list_topics()):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise EngineFailure(f"deleted topics are still there after {GONE_WITHIN_S} s: {', '.join(names)}") from None
