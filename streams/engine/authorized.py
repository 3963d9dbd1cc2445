"""Two questions that aiokafka does not ask: which operations this client may do on topics, and on a group (KIP-430)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

UNKNOWN_TOPIC = 3
_CODES = {3: "Read", 4: "Write", 5: "Create", 8: "Describe", 10: "DescribeConfigs"}


class _Topics(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _AskTopics(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Topics
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("create", Boolean),
        ("cluster_operations", Boolean),
        ("operations", Boolean),
    )


class _TopicsRequest(Request[_AskTopics]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_AskTopics]) -> _AskTopics:
        return request_struct_class(self._topics, False, False, True)


class _AskGroup(RequestStruct):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("operations", Boolean))


class _GroupRequest(Request[_AskGroup]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_AskGroup]) -> _AskGroup:
        return request_struct_class([self._group], True)


async def of_topics(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> Mapping[str, frozenset[str] | None]:
    """Return what may be done on each topic; nothing for one that may not even be seen, None for one that is not there."""
    told = await admin._send_request(_TopicsRequest(topics))  # noqa: SLF001 - it has no method for it
    found: dict[str, frozenset[str] | None] = {}
    for code, topic, _, _, operations in told.topics:
        if code == TopicAuthorizationFailedError.errno:
            found[topic] = frozenset()
        else:
            found[topic] = None if code == UNKNOWN_TOPIC else _operations(operations)
    return found


async def of_group(admin: AIOKafkaAdminClient, group: str) -> frozenset[str]:
    """Return what may be done on a group; KafkaError if nobody can say at the moment."""
    try:
        coordinator = await admin.find_coordinator(group)
    except GroupAuthorizationFailedError:
        return frozenset()
    told = await admin._send_request(_GroupRequest(group), coordinator)  # noqa: SLF001 - its own reads the answer wrongly
    ((code, *_, operations),) = told.groups
    if code == GroupAuthorizationFailedError.errno:
        return frozenset()
    error: type[KafkaError] = for_code(code)
    if code:
        raise error()
    return _operations(operations)


def _operations(bits: int) -> frozenset[str]:
    return frozenset(name for code, name in _CODES.items() if bits >> code & 1)
