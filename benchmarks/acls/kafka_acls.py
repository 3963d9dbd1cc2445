"""Add and remove ACLs in Kafka's protocol: a JVM per ACL, as `kafka-acls.sh` is, would take minutes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

from topology.acls import Acl

_TYPES = {"topic": 2, "group": 3, "cluster": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _ALLOW = 3, 3
_ACL = (
    ("resource_type", Int8),
    ("resource_name", String("utf-8")),
    ("pattern_type", Int8),
    ("principal", String("utf-8")),
    ("host", String("utf-8")),
    ("operation", Int8),
    ("permission", Int8),
)
_ERROR = (("error_code", Int16), ("error_message", String("utf-8")))


class _Created(Response):
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(("throttle_time_ms", Int32), ("results", Array(*_ERROR)))


class _Create(RequestStruct):
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _Created
    SCHEMA = Schema(("creations", Array(*_ACL)))


class _Deleted(Response):
    API_KEY = 31
    API_VERSION = 1
    SCHEMA = Schema(("throttle_time_ms", Int32), ("results", Array(*_ERROR, ("matching", Array(*_ERROR, *_ACL)))))


class _Delete(RequestStruct):
    API_KEY = 31
    API_VERSION = 1
    RESPONSE_TYPE = _Deleted
    SCHEMA = Schema(("filters", Array(*_ACL)))


class _CreateRequest(Request[_Create]):
    API_KEY = 30

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[_Create]) -> _Create:
        return request_struct_class(self._rows)


class _DeleteRequest(Request[_Delete]):
    API_KEY = 31

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[_Delete]) -> _Delete:
        return request_struct_class(self._rows)


async def add(admin: AIOKafkaAdminClient, principal: str, acls: Iterable[Acl]) -> None:
    """Allow `principal` all of `acls`."""
    told = await admin._send_request(_CreateRequest([_row(principal, acl) for acl in acls]))  # noqa: SLF001
    assert not any(code for code, _ in told.results), told


async def remove(admin: AIOKafkaAdminClient, principal: str, acls: Iterable[Acl]) -> None:
    """Take `acls` away again; each must have been there."""
    told = await admin._send_request(_DeleteRequest([_row(principal, acl) for acl in acls]))  # noqa: SLF001
    assert all(not code and len(matching) == 1 for code, _, matching in told.results), told


@asynccontextmanager
async def without(admin: AIOKafkaAdminClient, principal: str, acl: Acl) -> AsyncIterator[None]:
    """Take one away for a while. A broker applies what its controller has decided a moment later: wait for what shows it."""
    await remove(admin, principal, [acl])
    try:
        yield
    finally:
        await add(admin, principal, [acl])


def _row(principal: str, acl: Acl) -> tuple[Any, ...]:
    return (_TYPES[acl.resource], acl.name, _LITERAL, principal, "*", _OPERATIONS[acl.operation], _ALLOW)
