"""A restore that gets nowhere ends the worker: never a silent half-worker."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.engine import restore
from streams.errors import EngineFailure

PLACE = TopicPartition("penstock.wf-a-changelog", 1)


class Silent:
    """A reader to which nothing comes; the broker is there, the records are not."""

    async def position(self, place: TopicPartition) -> int:
        return 3

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        return {}


async def test_a_restore_to_which_nothing_comes_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "STALLED_S", -1)
    with pytest.raises(EngineFailure, match=r"still to come: .*penstock.wf-a-changelog.*partition=1"):
        await restore.read_to(Silent(), {PLACE: 9}, lambda record: None)


async def test_what_is_read_already_is_not_waited_for() -> None:
    await restore.read_to(Silent(), {PLACE: 3}, lambda record: None)
