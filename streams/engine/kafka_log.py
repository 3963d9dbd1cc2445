"""The log on Kafka: appends that meet in one turn of the loop go out in one batch per partition.

aiokafka's `send` costs a future and some 30 µs per record; a batch built by hand costs a tenth of it, and one future.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.engine.log import Outgoing

RETRY_S = 0.1


class _Ticket:
    """One caller's records, their offsets once known, and the future that the caller waits on."""

    __slots__ = ("done", "offsets", "records")

    def __init__(self, records: Sequence[Outgoing]) -> None:
        self.records = records
        self.offsets = [-1] * len(records)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, error: BaseException | None) -> None:
        if self.done.done():
            return  # its caller was cancelled
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


Place = tuple[str, int]
Member = tuple[_Ticket, int]
"""A ticket and the index of one of its records."""


class KafkaLog:
    """Appends by one idempotent producer; records of one partition keep their order."""

    def __init__(self, producer: AIOKafkaProducer, delivery_timeout_ms: int) -> None:
        self._producer = producer
        self._delivery_timeout_s = delivery_timeout_ms / 1000
        self._waiting: list[_Ticket] = []
        self._flusher: asyncio.Task[None] | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._sealed = getattr(producer, "sealed", None)
        """What encrypts a record of a batch made by hand, where encryption is on."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append `records`; return their offsets once every one is acknowledged."""
        if not records:
            return ()
        ticket = _Ticket(records if self._sealed is None else [self._seal(record) for record in records])
        self._waiting.append(ticket)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await ticket.done
        return ticket.offsets

    def _seal(self, record: Outgoing) -> Outgoing:
        if record.partition is None or self._sealed is None:
            return record  # the producer's `send` does it
        value, headers = self._sealed(record.topic, record.key, record.value, record.headers)
        return Outgoing(record.topic, record.partition, record.key, value, headers)

    async def _flush(self) -> None:
        while self._waiting:
            tickets, self._waiting = self._waiting, []
            try:
                sent = await self._submit(tickets)
            except BaseException as error:
                for ticket in tickets:
                    ticket.settle(error)
                if not isinstance(error, Exception):
                    raise
                continue
            settling = asyncio.create_task(self._settle(tickets, sent))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)

    async def _submit(self, tickets: Sequence[_Ticket]) -> list[tuple[asyncio.Future[Any], list[Member]]]:
        """Hand everything to the producer; return the futures of its acknowledgements with the records each stands for."""
        sent: list[tuple[asyncio.Future[Any], list[Member]]] = []
        by_place: defaultdict[Place, list[Member]] = defaultdict(list)
        for ticket in tickets:
            for index, record in enumerate(ticket.records):
                if record.partition is not None:
                    by_place[(record.topic, record.partition)].append((ticket, index))
                else:
                    sent.append((await self._send(record), [(ticket, index)]))
        for place, members in by_place.items():
            sent += await self._send_batches(place, members)
        return sent

    async def _send_batches(
        self, place: Place, members: Sequence[Member]
    ) -> list[tuple[asyncio.Future[Any], list[Member]]]:
        sent, start = [], 0
        while start < len(members):
            batch, end = self._producer.create_batch(), start
            while end < len(members) and _add(batch, members[end]):
                end += 1
            batch.close()
            future = await self._handed_over(partial(self._producer.send_batch, batch, place[0], partition=place[1]))
            sent.append((future, list(members[start:end])))
            start = end
        return sent

    async def _send(self, r: Outgoing) -> asyncio.Future[Any]:
        headers = list(r.headers)
        return await self._handed_over(partial(self._producer.send, r.topic, r.value, key=r.key, headers=headers))

    async def _handed_over(self, hand: Callable[[], Awaitable[asyncio.Future[Any]]]) -> asyncio.Future[Any]:
        """Hand over to the producer; while there is no broker (its buffer is full, a topic is not known yet), wait: nothing was taken."""
        last = time.monotonic() + self._delivery_timeout_s
        while True:
            try:
                return await hand()
            except (KafkaTimeoutError, UnknownTopicOrPartitionError):
                if time.monotonic() > last:
                    raise
                await asyncio.sleep(RETRY_S)

    async def _settle(
        self, tickets: Sequence[_Ticket], sent: Sequence[tuple[asyncio.Future[Any], list[Member]]]
    ) -> None:
        error: BaseException | None = None
        for done in await asyncio.gather(*(future for future, _ in sent), return_exceptions=True):
            if isinstance(done, BaseException):
                error = done
        for future, members in sent if error is None else ():
            first = future.result().offset
            for position, (ticket, index) in enumerate(members):
                ticket.offsets[index] = first + position
        for ticket in tickets:
            ticket.settle(error)


def _add(batch: Any, member: Member) -> bool:
    """Add a record to a batch; False when the batch is full (the first always fits)."""
    ticket, index = member
    record = ticket.records[index]
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return added is not None
