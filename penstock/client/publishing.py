"""Publish inputs and commands onto a workflow's public topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import headers as names
from schemas.codec import dumps
from schemas.headers import Headers, headers_of
from schemas.records import Position
from topology.naming import control_topic

WINDOW = 1_000
"""Records under way at once."""


@dataclass(frozen=True, slots=True)
class Input:
    """A run to be: its id and its input, JSON text; `reused` are nodes whose ends were copied into it, `traceparent` its trace."""

    run_id: str
    text: str
    reused: tuple[str, ...] = ()
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """Where an input stands, acknowledged by the broker."""

    run_id: str
    topic: str
    partition: int
    offset: int


async def publish(producer: AIOKafkaProducer, topic: str, inputs: Sequence[Input]) -> AsyncIterator[Published]:
    """Publish `inputs` and yield where each stands, in their order; the header names the run whatever `run_id_from` says."""
    for first in range(0, len(inputs), WINDOW):
        window = inputs[first : first + WINDOW]
        sent = [
            await producer.send(topic, i.text.encode(), key=i.run_id.encode(), headers=list(_headers(i)))
            for i in window
        ]
        for one, stands in zip(window, await asyncio.gather(*sent), strict=True):
            yield Published(one.run_id, topic, stands.partition, stands.offset)


def _headers(i: Input) -> Headers:
    return headers_of(
        {names.RUN_ID: i.run_id, names.REUSED: ",".join(i.reused) or None, names.TRACEPARENT: i.traceparent}
    )


async def command(
    producer: AIOKafkaProducer, workflow_id: str, run_id: str, body: dict[str, Any], traceparent: str | None = None
) -> Position:
    """Publish a command to the workflow's control topic and return where it stands: answers name that place.

    `traceparent` is the run's, so that the command is part of its trace.
    """
    topic, headers = control_topic(workflow_id), list(headers_of({names.TRACEPARENT: traceparent}))
    stands = await producer.send_and_wait(topic, dumps(body).encode(), key=run_id.encode(), headers=headers)
    return Position(topic, stands.partition, stands.offset)
