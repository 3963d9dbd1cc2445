"""Tables, timers and their changelogs: a dict per partition in front of a compacted topic, under this worker's owner epoch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas.codec import decode, encode
from schemas.headers import header
from schemas.quick import replace
from schemas.records import NodeRow, RunRow, TimerRow
from streams.engine.changelogs import OwnedChangelogs
from streams.engine.log import Outgoing
from streams.engine.results import WrittenResults
from streams.engine.tables import Tables
from streams.engine.timers import Timers

RUNNING = NodeRow("r", "running")


def test_partitions_are_apart() -> None:
    tables = Tables()
    tables.put("n", 0, "r", RUNNING)
    tables.put("n", 1, "s", NodeRow("s"))
    assert tables.get("n", 1, "r") is None
    assert dict(tables.rows("n", 0)) == {"r": RUNNING}
    tables.drop(0)
    assert tables.get("n", 0, "r") is None
    assert tables.running(0) == []
    assert dict(tables.rows("n", 1)) == {"s": NodeRow("s")}


def test_a_held_partition_may_be_empty() -> None:
    tables = Tables()
    tables.hold(3)
    assert tables.partitions() == {3}
    tables.drop(3)
    assert tables.partitions() == set()


def test_running_rows_are_found_without_a_scan() -> None:
    tables = Tables()
    tables.put("n", 0, "r", RUNNING)
    tables.put("n", 0, "s", NodeRow("s", "waiting"))
    assert tables.running(0) == [("n", "r")]
    for row in (NodeRow("r", "success"), None):
        tables.put("n", 0, "r", RUNNING)
        tables.put("n", 0, "r", row)
        assert tables.running(0) == []


def test_the_row_of_a_retired_run_is_held_as_it_is_written_and_read_as_any_other() -> None:
    tables, row = Tables(), RunRow("r", "success", input_hash="ab" * 32, finished_at=7, retired=True)
    tables.put("run", 0, "r", row)
    assert tables._rows[0]["run"]["r"] == encode(row)
    assert tables.get("run", 0, "r") == row
    assert dict(tables.rows("run", 0)) == {"r": row}
    assert list(tables.live_rows("run", 0)) == []
    tables.put("run", 0, "r", replace(row, retired=False))
    assert list(tables.live_rows("run", 0)) == [replace(row, retired=False)]


def test_timers_come_up_in_order_each_once() -> None:
    timers = Timers()
    for due, key in ((30, "c"), (10, "a"), (20, "b")):
        timers.add(due, 0, key)
    assert timers.next_due() == 10
    assert list(timers.due(20)) == [(0, "a"), (0, "b")]
    assert list(timers.due(20)) == []
    assert timers.next_due() == 30


def test_timers_follow_their_partition() -> None:
    tables, timers = Tables(), Timers()
    tables.put("timers", 1, "k", TimerRow("r", "n", 0, 1, "retry", 50, ""))
    timers.add(5, 0, "other")
    timers.add(7, 1, "old")
    timers.load(tables, 1)
    assert list(timers.due(100)) == [(0, "other"), (1, "k")]


class Log:
    """Gives offsets as told."""

    def __init__(self, *offsets: int) -> None:
        self.offsets = list(offsets)
        self.taken: list[Outgoing] = []

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        self.taken += records
        return [self.offsets.pop(0) for _ in records]


async def test_every_changelog_record_says_whose_it_is() -> None:
    log = Log(5, 6)
    changelogs = OwnedChangelogs(log, {"n": "penstock.wf-n-changelog"})
    changelogs.own(("n", 1), 7, 4)
    await changelogs.write({("n", 1, "r"): RUNNING, ("n", 1, "s"): None})
    row, tombstone = log.taken
    assert [(r.topic, r.partition, r.key) for r in log.taken] == [
        ("penstock.wf-n-changelog", 1, b"r"),
        ("penstock.wf-n-changelog", 1, b"s"),
    ]
    assert (decode(row.value or b""), tombstone.value) == (RUNNING, None)
    assert [header(r.headers, "penstock.owner_epoch") for r in log.taken] == ["7", "7"]
    assert changelogs.last_offset == {("n", 1): 6}
    assert changelogs.foreign == {}


async def test_a_gap_between_own_offsets_is_a_foreign_write() -> None:
    changelogs = OwnedChangelogs(Log(5, 8, 9, 12), {"n": "t"})
    changelogs.own(("n", 1), 1, 4)
    await changelogs.write(dict.fromkeys([("n", 1, "a"), ("n", 1, "b"), ("n", 1, "c"), ("n", 1, "d")]))
    found = dict(changelogs.foreign)
    assert found == {("n", 1): (6, 12)}
    changelogs.forget_foreign(("n", 1), (0, 1))
    assert changelogs.foreign == found, "one that has grown since it was looked at stays"
    changelogs.forget_foreign(("n", 1), found[("n", 1)])
    assert changelogs.foreign == {}


async def test_what_is_not_owned_cannot_be_written() -> None:
    log = Log(5)
    changelogs = OwnedChangelogs(log, {"n": "t"})
    changelogs.own(("n", 1), 1, 4)
    changelogs.disown(1)
    with pytest.raises(KeyError):
        await changelogs.write({("n", 1, "r"): RUNNING})
    assert log.taken == []


def test_results_known_to_be_written_are_not_written_again() -> None:
    results = WrittenResults("wf.output")
    results._written = {0: {"r1/run/0/0/Result"}}
    results._ends = {0: 7}

    def record(topic: str, partition: int, ce_id: str) -> Outgoing:
        return Outgoing(topic, partition, b"r", encode(RUNNING), (("ce_id", ce_id.encode()),))

    written, new, elsewhere, other = sends = [
        record("wf.output", 0, "r1/run/0/0/Result"),
        record("wf.output", 0, "r2/run/0/0/Result"),
        record("wf.output", 1, "r1/run/0/0/Result"),
        record("wf.run", 0, "r1/run/0/0/Result"),
    ]
    assert results.not_written(sends) == [new, elsewhere, other]
    assert results.caught_up(0) == 7, "the position to commit"
    assert results.not_written(sends) == [written, new, elsewhere, other]
