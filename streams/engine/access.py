"""Before anything is done: ask the broker whether this client may do it, and say with the very lines what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from streams.engine import authorized
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.errors import AccessDenied, TopicsMissing
from topology.acls import CLUSTER, Acl, acl_lines, acls_of, topic_line, used_topics
from topology.plan import WorkflowPlan

_REFUSALS = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)

log = structlog.get_logger(__name__)


async def demand_worker(plan: WorkflowPlan, config: EngineConfig) -> bool:
    """Raise unless a worker may do all that it does and, if it creates no topics, all of them are there; return whether they are.

    Raises:
        AccessDenied: an ACL is missing.
        TopicsMissing: a topic is, and this worker creates none.
    """
    acls = acls_of(plan, "worker", config.sizes, creates=config.create_topics)
    async with connected_admin(config) as admin:
        try:
            missing, absent = await _missing(admin, acls)
        except (KafkaError, NotImplementedError) as error:  # a broker that is too old, or not quite there
            log.info("what this worker may do is not known; it will find out", reason=repr(error))
            return True
        if absent and config.create_topics:
            missing += await _not_to_be_created(admin, plan, absent)
        if missing:
            raise denied(missing, config)
        if absent and not config.create_topics:
            raise TopicsMissing(await _to_be_made(admin, plan, config, absent))
        return not absent


async def missing_of(config: EngineConfig, acls: Sequence[Acl]) -> list[Acl]:
    """Return which of `acls` this client does not have; a topic that is not there needs none."""
    async with connected_admin(config) as admin:
        return (await _missing(admin, acls))[0]


def denied(missing: Iterable[Acl], config: EngineConfig) -> AccessDenied:
    """Return the error that names what is missing, and the lines that grant it."""
    missing = list(missing)
    principal = principal_in(config.kafka)
    said = "; ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    lines = acl_lines(missing, principal or "User:NAME", f"--bootstrap-server {config.bootstrap}")
    own = any(acl.resource == "cluster" for acl in missing)
    instead = " (or set replication_factor, then the broker need not be asked for its own)" if own else ""
    return AccessDenied(
        f"{principal or 'this client'} is not allowed: {said}{instead}. What grants it:\n"
        + "\n".join(f"  {line}" for line in lines)
    )


def is_refusal(error: BaseException | None) -> bool:
    """Say whether Kafka refused something for want of an ACL, and nobody said yet which."""
    while error is not None and not isinstance(error, AccessDenied):
        if isinstance(error, _REFUSALS):
            return True
        error = error.__cause__
    return False


def principal_in(arguments: Mapping[str, Any]) -> str | None:
    """Return who a client is to the broker; None where only the broker knows (a certificate, a token, Kerberos)."""
    if arguments.get("security_protocol", "PLAINTEXT") == "PLAINTEXT":
        return "User:ANONYMOUS"
    user = arguments.get("sasl_plain_username")
    return None if user is None else f"User:{user}"


async def _missing(admin: AIOKafkaAdminClient, acls: Sequence[Acl]) -> tuple[list[Acl], list[str]]:
    """Return which ACLs are missing, and which topics are not there."""
    topics = await authorized.of_topics(admin, sorted({acl.name for acl in acls if acl.resource == "topic"}))
    groups = {acl.name: await _of_group(admin, acl.name) for acl in acls if acl.resource == "group"}
    missing = []
    for acl in acls:
        allowed = topics.get(acl.name) if acl.resource == "topic" else groups.get(acl.name)
        if (
            acl.resource != "cluster"
            and acl.operation != "Create"
            and allowed is not None
            and acl.operation not in allowed
        ):
            missing.append(acl)
    return missing, sorted(topic for topic, allowed in topics.items() if allowed is None)


async def _of_group(admin: AIOKafkaAdminClient, group: str) -> frozenset[str] | None:
    """Return what may be done on the group; None while its coordinator is not there: joining it will tell."""
    try:
        return await authorized.of_group(admin, group)
    except KafkaError as error:
        log.info("what this worker may do with its group is not known", group=group, reason=repr(error))
        return None


async def _not_to_be_created(admin: AIOKafkaAdminClient, plan: WorkflowPlan, absent: Sequence[str]) -> list[Acl]:
    """Ask for each topic, without creating it."""
    told = await admin.create_topics([NewTopic(name, plan.partitions, 1) for name in absent], validate_only=True)
    refused = TopicAuthorizationFailedError.errno
    return [Acl("topic", name, "Create") for name, code, *_ in told.topic_errors if code == refused]


async def _to_be_made(
    admin: AIOKafkaAdminClient, plan: WorkflowPlan, config: EngineConfig, absent: Sequence[str]
) -> str:
    described = await admin.describe_topics([plan.topic("run")])
    there = [len(topic["partitions"]) for topic in described if topic["error_code"] == 0]
    own = {topic.name for topic in plan.topics} | {table.changelog for table in plan.tables}
    count = there[0] if there else config.partitions or plan.partitions
    lines = [
        topic_line(topic, count if topic.name in own else 1, config.sizes, f"--bootstrap-server {config.bootstrap}")
        for topic in used_topics(plan, config.sizes)
        if topic.name in absent
    ]
    return (
        f"workflow {plan.id!r}: {len(lines)} topics are missing, and this worker creates none (--no-create-topics). "
        "What creates them:\n" + "\n".join(f"  {line}" for line in lines)
    )


def cluster_acl() -> Acl:
    """What asks a broker for its own replication factor."""
    return Acl("cluster", CLUSTER, "DescribeConfigs")
