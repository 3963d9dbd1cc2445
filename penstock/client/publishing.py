"""Publish inputs and commands onto a workflow's public topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import headers as names
from schemas.claims import is_claim, public_value, text_of
from schemas.codec import dumps, loads
from schemas.headers import Headers, headers_of
from schemas.records import Position
from streams.claims.claims import ClaimProblem, Claims
from streams.errors import ClaimStoreError
from topology.naming import control_topic
from topology.plan import ClaimCheck

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


async def put_away(inputs: Sequence[Input], check: ClaimCheck | None, claims: Claims | None) -> list[Input]:
    """Return inputs with those that are too large for records put into the workflow's claim store.

    Raises:
        ClaimStoreError: the store is not allowed here, or does not take one.
    """
    return [replace(one, text=await claimed(one.text, check, claims)) for one in inputs]


async def claimed(text: str, check: ClaimCheck | None, claims: Claims | None) -> str:
    """Return an input's text, or that of a claim for it if it is too large."""
    if (
        check is None
        or is_claim(text)
        or len(text) <= check.above_bytes // 4
        or len(text.encode()) <= check.above_bytes
    ):
        return text
    stores = claims or Claims()
    stores.check(check.store, "the workflow")
    try:
        return text_of(await stores.put(check.store, loads(text)))
    except ClaimProblem as problem:
        raise ClaimStoreError(f"the input could not be put away: {problem}") from None


async def publish(producer: AIOKafkaProducer, topic: str, inputs: Sequence[Input]) -> AsyncIterator[Published]:
    """Publish `inputs` and yield where each stands, in their order; the header names the run whatever `run_id_from` says."""
    for first in range(0, len(inputs), WINDOW):
        window = inputs[first : first + WINDOW]
        sent = [
            await producer.send(topic, public_value(i.text), key=i.run_id.encode(), headers=list(_headers(i)))
            for i in window
        ]
        for one, stands in zip(window, await asyncio.gather(*sent), strict=True):
            yield Published(one.run_id, topic, stands.partition, stands.offset)


def _headers(i: Input) -> Headers:
    return headers_of(
        {
            names.RUN_ID: i.run_id,
            names.REUSED: ",".join(i.reused) or None,
            names.TRACEPARENT: i.traceparent,
            names.CLAIM: "1" if is_claim(i.text) else None,
        }
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
