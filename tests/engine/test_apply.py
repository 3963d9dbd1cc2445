"""APPLY: records, then rows, then launches, each acknowledged before the next (PROTOCOL.md 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from schemas.records import NodeRow, Row
from streams.engine.apply import apply
from streams.engine.log import Outgoing
from streams.engine.processor import Address, Effects
from tests.engine.recording import Recorder, Refused

RECORDS = [Outgoing("wf.n", 1, b"r", b"x"), Outgoing("wf.output", 1, b"r", b"y")]
ROWS: dict[Address, Row | None] = {("n", 1, "r"): NodeRow("r"), ("timers", 1, "r/n/0/1/retry"): None}
LAUNCHES: dict[Address, str] = {("n", 1, "r"): "n"}
ABORTS = [("n", "s")]


def effects() -> Effects:
    return Effects(list(RECORDS), dict(ROWS), dict(LAUNCHES), list(ABORTS))


async def applied(to: Recorder, what: Effects) -> Sequence[int]:
    return await apply(what, to, to, to.launch, to.abort, to.seam)


async def test_records_then_rows_then_aborts_and_launches() -> None:
    """Aborts first: what is launched in the same batch must not be taken for what is to end."""
    recorder = Recorder()
    assert list(await applied(recorder, effects())) == [0, 1]
    assert recorder.calls == [
        ("append", tuple(RECORDS)),
        ("seam", "records"),
        ("write", ROWS),
        ("seam", "rows"),
        ("abort", ABORTS),
        ("launch", LAUNCHES),
        ("seam", "launches"),
    ]


async def test_nothing_is_written_for_nothing() -> None:
    recorder = Recorder()
    assert list(await applied(recorder, Effects())) == []
    assert [call for call in recorder.calls if call[0] in ("append", "write")] == []  # type: ignore[index]


@pytest.mark.parametrize(("refuse", "done"), [("append", []), ("write", ["append", "seam"])])
async def test_what_is_refused_keeps_back_all_that_follows(refuse: str, done: list[str]) -> None:
    recorder = Recorder(refuse)
    with pytest.raises(Refused):
        await applied(recorder, effects())
    assert [call[0] for call in recorder.calls] == done  # type: ignore[index]


class Slow(Recorder):
    """Acknowledges only when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = {"append": asyncio.Event(), "write": asyncio.Event()}
        self.acknowledged = {"append": asyncio.Event(), "write": asyncio.Event()}

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        self.asked["append"].set()
        await self.acknowledged["append"].wait()
        return await super().append(records)

    async def write(self, rows: Mapping[Address, Row | None]) -> None:
        self.asked["write"].set()
        await self.acknowledged["write"].wait()
        await super().write(rows)


async def test_each_step_waits_for_the_acknowledgement_of_the_one_before() -> None:
    slow = Slow()
    task = asyncio.create_task(applied(slow, effects()))
    await slow.asked["append"].wait()
    assert not slow.asked["write"].is_set()
    assert slow.calls == []
    slow.acknowledged["append"].set()
    await slow.asked["write"].wait()
    assert [call[0] for call in slow.calls] == ["append", "seam"]  # type: ignore[index]
    slow.acknowledged["write"].set()
    await task
    assert slow.calls[-1] == ("seam", "launches")
