"""When Kafka hides a topic or refuses a record: which ACL is missing, rather than that there is no such workflow."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from penstock.client.errors import UnknownWorkflow
from streams.engine.access import denied, missing_of
from streams.engine.config import EngineConfig
from topology.acls import Acl
from topology.naming import (
    RUN_TABLE,
    IllegalTopicName,
    changelog_topic,
    consumer_group,
    control_topic,
    input_topic,
    output_topic,
    run_topic,
)

T = TypeVar("T")

_REFUSED = (
    UnknownWorkflow,  # what one may not see is not listed
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)


What = Literal["publish", "consume", "look", "audit", "command"]


async def explained(work: Coroutine[Any, Any, T], config: EngineConfig, what: What, workflow_id: str | None) -> T:
    """Do `work`; if Kafka refused it for want of an ACL that `what` takes, raise `AccessDenied` with the line that grants it."""
    try:
        return await work
    except _REFUSED:
        try:
            missing = await missing_of(config, acls_for(what, workflow_id)) if workflow_id else []
        except (KafkaError, NotImplementedError, IllegalTopicName):
            missing = []
        if missing:
            raise denied(missing, config) from None
        raise


def acls_for(what: What, workflow_id: str) -> list[Acl]:
    """Return what it takes, as far as a workflow's id tells: its nodes are not known here."""
    match what:
        case "publish":
            return [Acl("topic", input_topic(workflow_id), "Write")]
        case "consume":
            return [Acl("topic", output_topic(workflow_id), "Read")]
    seen = (run_topic(workflow_id), changelog_topic(workflow_id, RUN_TABLE), output_topic(workflow_id))
    told = [Acl("topic", control_topic(workflow_id), "Write")] if what == "command" else []
    judged = [Acl("group", consumer_group(workflow_id), "Describe")] if what == "audit" else []
    return [*(Acl("topic", topic, "Read") for topic in seen), *told, *judged]
