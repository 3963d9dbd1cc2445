"""Sending runs back for a replay, and hearing how each ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from penstock.client import reading
from penstock.client.replay_plan import REPLAY, Before, Wanted
from penstock.client.runs import RunState
from penstock.client.workflows import Workflow
from schemas import headers as names
from schemas.codec import CodecError, decode, dumps
from schemas.headers import headers_of
from schemas.records import EpochOpened, Finished, Refused
from topology.naming import control_topic, run_topic

Ended = dict[str, Any]
"""A line of what `replay` prints."""

WINDOW = 500
"""Commands under way at once when no rate is asked for."""
POLL_MS = 200
SKEW_MS = 60_000
"""How far this machine's clock may be from the broker's, where what was sent earlier is looked for."""


@dataclass(frozen=True, slots=True)
class How:
    """How runs are sent back: `rate` a second at most; given up when nothing has happened for `idle_s` seconds."""

    requested_by: str
    rate: float | None = None
    idle_s: float = 60


@dataclass(slots=True)
class Progress:
    """What is known of the runs of a replay: `open` has the epoch of each that runs, None while it is not opened."""

    total: int
    open: dict[str, int | None] = field(default_factory=dict)
    ended: int = 0
    sent: int = 0

    def take(self, record: ConsumerRecord, replay: str) -> Ended | None:
        """Take the next record of the run's journal; return how a run of this replay ended, if it says so."""
        try:
            found = decode(record.value or b"")
        except CodecError:
            return None
        match found:
            case EpochOpened() if found.replay == replay and self.open.get(found.run_id, 0) is None:
                self.open[found.run_id] = found.epoch
            case Refused() if found.replay == replay and self.open.get(found.run_id, 0) is None:
                return self._end(found.run_id, {"epoch": None, "status": "refused", "reason": found.reason})
            case Finished() if self.open.get(found.run_id) == found.epoch:
                return self._end(found.run_id, {"epoch": found.epoch, "status": found.status})
        return None

    def _end(self, run_id: str, said: dict[str, Any]) -> Ended:
        del self.open[run_id]
        self.ended += 1
        return {"run_id": run_id, **said}


async def replay(
    reader: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    workflow: Workflow,
    states: Sequence[RunState],
    wanted: Wanted,
    known: Before,
    how: How,
    progress: Progress,
) -> AsyncIterator[Ended]:
    """Send back what was not sent yet and yield how each run ended, those sent earlier among them; `unended` if none says so."""
    places = reading.places_of(run_topic(workflow.id), workflow.partitions)
    await reading.begin(reader, places, max(0, known.began_at - SKEW_MS) if known.sent else "latest")
    progress.open = dict.fromkeys(known.sent)
    progress.sent = len(known.sent)
    going = [state for state in states if state.row.run_id not in known.sent]
    progress.open |= dict.fromkeys(state.row.run_id for state in going)
    sending = asyncio.create_task(_send_all(producer, workflow, going, wanted, known, how, progress))
    try:
        async for ended in _ends(reader, known.id, sending, how.idle_s, progress):
            yield ended
        await sending
    finally:
        sending.cancel()
    for run_id, epoch in progress.open.items():
        yield {"run_id": run_id, "epoch": epoch, "status": "unended"}


async def _ends(
    reader: AIOKafkaConsumer, replay_id: str, sending: asyncio.Task[None], idle_s: float, progress: Progress
) -> AsyncIterator[Ended]:
    clock = asyncio.get_running_loop()
    last = clock.time() + idle_s
    while progress.open and (clock.time() < last or not sending.done()):
        if sending.done():
            sending.result()  # a broker that is gone
        for records in (await reader.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                last = clock.time() + idle_s
                ended = progress.take(record, replay_id)
                if ended is not None:
                    yield ended


async def _send_all(
    producer: AIOKafkaProducer,
    workflow: Workflow,
    states: Sequence[RunState],
    wanted: Wanted,
    known: Before,
    how: How,
    progress: Progress,
) -> None:
    clock, size = asyncio.get_running_loop(), WINDOW if how.rate is None else 1
    began = clock.time()
    for first in range(0, len(states), size):
        if how.rate is not None:
            await asyncio.sleep(began + first / how.rate - clock.time())
        some = states[first : first + size]
        sent = [
            await producer.send(
                control_topic(workflow.id),
                dumps(command_of(state, wanted, known, how.requested_by)).encode(),
                key=state.row.run_id.encode(),
                headers=list(headers_of({names.TRACEPARENT: state.row.traceparent})),
            )
            for state in some
        ]
        await asyncio.gather(*sent)
        progress.sent += len(some)


def command_of(state: RunState, wanted: Wanted, known: Before, requested_by: str) -> Mapping[str, Any]:
    """Return the control record that runs a run again. Twice sent it has its effect once: it names the epoch that is meant."""
    return {
        "type": REPLAY,
        "run_id": state.row.run_id,
        "epoch": state.row.epoch,
        **({} if wanted.node is None else {"node": wanted.node}),
        REPLAY: known.id,
        "reuse": wanted.reuse,
        "began_at": known.began_at,
        "requested_by": requested_by,
    }
