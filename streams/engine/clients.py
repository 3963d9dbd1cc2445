"""Kafka clients, all made here: one place for addresses, sizes and the message when no broker answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from streams.consumer import Consumer
from streams.engine.config import DEAD_LETTER_EXTRA, MAX_RECORD_BYTES, EngineConfig
from streams.engine.handshake import why
from streams.engine.wire_clients import WireConsumer, WireOpeningConsumer, WireProducer, WireSealingProducer
from streams.errors import BrokerUnreachable
from streams.sealing.clients import OpeningConsumer, SealingProducer

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 15
STOP_TIMEOUT_S = 10


def new_incarnation() -> str:
    """Return the identity of this process: a new one each time it starts, so that a restart is not taken for its predecessor."""
    return uuid.uuid4().hex


def client_id_of(incarnation: str) -> str:
    """Return the client id that tells the group's other members, and operators, which process this is."""
    return f"penstock-{incarnation}"


def producer_of(config: EngineConfig, **settings: Any) -> AIOKafkaProducer:
    """Return an idempotent producer, not started."""
    producer = _producer(config)(
        bootstrap_servers=config.bootstrap,
        **{
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": 0,
            "max_request_size": MAX_RECORD_BYTES + DEAD_LETTER_EXTRA,
            "max_batch_size": 256 * 1024,
            "request_timeout_ms": config.request_timeout_ms,
            **config.kafka,
            **settings,
        },
    )
    # aiokafka has one setting for how long a request may hang and how long a record may wait; the first must be short, the
    # second long, or a broker's absence of some seconds ends the worker.
    producer._message_accumulator._batch_ttl = config.delivery_timeout_ms / 1000  # noqa: SLF001
    return producer


def reader_of(config: EngineConfig, **settings: Any) -> Consumer:
    """Return a consumer without a group: it reads what it is told to and commits nothing."""
    return _consumer(config)(
        bootstrap_servers=config.bootstrap,
        **{
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 4 * 1024 * 1024,
            "fetch_max_wait_ms": 100,
            **config.kafka,
            **settings,
        },
    )


def _producer(config: EngineConfig) -> Callable[..., AIOKafkaProducer]:
    sealing, wire = config.sealing, config.wire
    if sealing is None or sealing.current is None:
        return AIOKafkaProducer if wire is None else partial(WireProducer, wire=wire)
    return partial(SealingProducer, sealing) if wire is None else partial(WireSealingProducer, sealing, wire=wire)


def _consumer(config: EngineConfig) -> Callable[..., Consumer]:
    sealing, wire = config.sealing, config.wire
    if sealing is None:
        return Consumer if wire is None else partial(WireConsumer, wire=wire)
    return partial(OpeningConsumer, sealing) if wire is None else partial(WireOpeningConsumer, sealing, wire=wire)


def admin_of(config: EngineConfig) -> AIOKafkaAdminClient:
    """Return an admin client, not started."""
    return AIOKafkaAdminClient(bootstrap_servers=config.bootstrap, **config.kafka)


@asynccontextmanager
async def connected_admin(config: EngineConfig) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an admin client for the length of a `with`; raises what `start` does."""
    admin = admin_of(config)
    await start(admin, config.bootstrap)
    try:
        yield admin
    finally:
        await admin.close()


async def start(client: Any, bootstrap: str) -> None:
    """Start a client.

    Raises:
        BrokerUnreachable: no broker answers.
        AuthenticationFailed: one does, and client and broker do not believe each other.
        ClusterAuthorizationFailedError: a producer that may write to no topic at all.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await client.start()
    except (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError):
        await _close(client)
        raise
    except (KafkaError, TimeoutError, OSError) as error:
        reason = None if isinstance(error, TimeoutError) else await why(client, bootstrap)
        await _close(client)
        raise reason or BrokerUnreachable(
            f"no Kafka broker answers at {bootstrap}: start one with `penstock kafka start`, or say where it is with --bootstrap"
        ) from error


async def stop(client: Any) -> None:
    """Stop a client, whatever state the broker is in: what it held back is acknowledged already, or nobody waits for it.

    aiokafka's consumer lets a `CancelledError` of its own out when the broker is away; only a cancel of ours may pass.
    """
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await client.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        log.info("a Kafka client did not stop cleanly", reason=repr(error))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def _close(client: Any) -> None:
    close = getattr(client, "stop", None) or client.close
    try:
        async with asyncio.timeout(5):
            await close()
    except Exception:  # noqa: S110 - it never started; the error worth telling is the first one
        pass
