"""One record's way: decoded, decided, addressed; a run stays in its partition, and what is no record never stops the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.codec import decode, encode
from schemas.headers import header
from schemas.records import NodeRow, OwnerMarker, Record, RetryScheduled, RunRow, Started, TimerRow
from streams.core.compiled import compile_workflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from streams.engine.processor import Effects, Processor
from streams.engine.tables import Tables
from streams.engine.timers import Timers
from streams.errors import UndecodableRecord
from tests.core.examples import RUN, TRACE, attempt_failed, cancelled, inbound, started, succeeded
from tests.plans import plan_of

PLAN = plan_of({"up": (), "n": ("up",)})


class World:
    """A processor with a clock that a test sets."""

    def __init__(self, partition_of: Callable[[bytes], int] = lambda key: 1) -> None:
        self.now = 1000
        self.tables, self.timers = Tables(), Timers()
        moment = lambda: Moment(self.now, 0.0, "me")  # noqa: E731
        self.processor = Processor(compile_workflow(PLAN), self.tables, self.timers, moment, partition_of)

    def take(self, topic: str, record: Record | bytes | None, key: bytes | None = b"r1", partition: int = 1) -> Effects:
        value = record if record is None or isinstance(record, bytes) else encode(record)
        self.processor.handle(Inbound(topic, partition, 5, 0, key, value))
        return self.processor.take_effects()

    def fire(self) -> Effects:
        self.processor.fire_timers()
        return self.processor.take_effects()


def test_every_topic_is_consumed_but_what_only_leaves() -> None:
    assert set(World().processor.topics) == {"wf.input", "wf.control", "wf.retry", "wf.run", "wf.up", "wf.n"}


def test_an_input_is_re_keyed_to_its_run_s_partition() -> None:
    world = World(lambda key: {b"r1": 1}[key])
    (sent,) = world.take("wf.input", b'{"n":1}', partition=0).sends
    assert (sent.topic, sent.partition, sent.key) == ("wf.run", 1, b"r1")
    assert isinstance(decode(sent.value or b""), Started)


def test_a_dead_letter_s_partition_is_chosen_by_its_key() -> None:
    (sent,) = World().take("wf.input", b"{", key=None).sends
    assert (sent.topic, sent.partition, sent.key, sent.value) == ("wf.dead-letter", None, None, b"{")


def test_a_run_stays_in_the_partition_it_is_read_in() -> None:
    """Whatever the key's partition is now: the partition count may have been another one."""
    world = World(lambda key: 0)
    found = world.take("wf.run", started())
    assert found.launches == {("up", 1, RUN): "up"}
    assert {address[1] for address in found.rows} == {1}
    sent = world.take("wf.up", attempt_failed("up")).sends
    assert [(s.topic, s.partition) for s in sent] == [("wf.retry", 1)]


def test_everybody_who_reads_a_topic_gets_its_record() -> None:
    """A node that waits for others has no row yet: theirs say it all."""
    world = World()
    assert set(world.take("wf.run", started()).rows) == {("run", 1, RUN), ("up", 1, RUN)}
    assert set(world.take("wf.up", succeeded("up")).rows) == {("run", 1, RUN), ("up", 1, RUN), ("n", 1, RUN)}
    assert set(world.take("wf.n", succeeded("n")).rows) == {("run", 1, RUN), ("n", 1, RUN)}


def test_an_end_in_the_same_batch_takes_a_launch_back() -> None:
    world = World()
    world.processor.handle(Inbound("wf.run", 1, 0, 0, b"r1", encode(started())))
    world.processor.handle(Inbound("wf.up", 1, 0, 0, b"r1", encode(cancelled("up"))))
    effects = world.processor.take_effects()
    assert effects.launches == {}
    assert effects.aborts == [("up", RUN)]


def test_a_batch_writes_one_row_per_key_and_every_record() -> None:
    world = World()
    for record, topic in ((started(), "wf.run"), (attempt_failed("up"), "wf.up")):
        world.processor.handle(Inbound(topic, 1, 0, 0, b"r1", encode(record)))
    row = world.processor.take_effects().rows["up", 1, RUN]
    assert isinstance(row, NodeRow)
    assert row.status == "waiting"


RETRY = RetryScheduled(RUN, "n", 0, 1, 5000, TRACE)
TIMER = ("timers", 1, "r1/n/0/1/retry")


def test_a_timer_fires_once_when_due_and_its_row_goes() -> None:
    world = World()
    assert world.take("wf.retry", RETRY).rows == {TIMER: TimerRow(RUN, "n", 0, 1, "retry", 5000, TRACE)}
    assert world.take("wf.retry", RETRY).rows == {}, "a repeat changes nothing"
    assert world.fire() == Effects()
    world.now = 5000
    found = world.fire()
    assert found.rows == {TIMER: None}
    assert [(s.topic, s.partition, header(s.headers, "ce_id")) for s in found.sends] == [
        ("wf.n", 1, "r1/n/0/1/AttemptDue")
    ]
    assert world.fire() == Effects()


def test_timers_are_found_again_after_a_restore() -> None:
    world = World()
    world.take("wf.retry", RETRY)
    world.timers.load(world.tables, 1)
    assert world.timers.next_due() == 5000
    world.timers.drop(1)
    assert world.timers.next_due() is None


@pytest.mark.parametrize("topic", ["wf.run", "wf.n", "wf.retry"])
@pytest.mark.parametrize("value", [None, b"", b'{"json": 1}', b"\xff"], ids=repr)
def test_a_foreign_record_goes_to_the_dead_letter_with_its_bytes(topic: str, value: bytes | None) -> None:
    found = World().take(topic, value, key=b"\xfe")
    assert found.rows == {}
    (sent,) = found.sends
    assert (sent.topic, sent.key, sent.value) == ("wf.dead-letter", b"\xfe", value)
    assert header(sent.headers, "penstock.error.kind") == "undecodable"
    assert header(sent.headers, "penstock.error.topic") == topic


@pytest.mark.parametrize("key", [b"other", None, b"\xff"])
def test_a_record_under_a_key_that_is_not_its_run_goes_to_the_dead_letter(key: bytes | None) -> None:
    """It may stand in a partition that is not its run's."""
    found = World().take("wf.n", succeeded("n"), key)
    assert found.rows == {}
    assert [(s.topic, s.key) for s in found.sends] == [("wf.dead-letter", key)]


@pytest.mark.parametrize(
    "record",
    [NodeRow(RUN), RunRow(RUN), RetryScheduled(RUN, "n", 0, 1, 5000, TRACE), TimerRow(RUN, "n", 0, 1, "retry", 1, "")],
    ids=lambda record: type(record).__name__,
)
def test_a_record_of_ours_that_has_no_place_in_a_journal_is_dealt_with(record: Record) -> None:
    """To the dead letter or a stop that says where: never an exception that says nothing."""
    try:
        assert [s.topic for s in World().take("wf.n", record).sends] == ["wf.dead-letter"]
    except UndecodableRecord as error:
        assert "wf.n/1/5" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"r1", b"\0\0\0\0\1xx"),
        (b"r1", b"\0\0\x0fB@\x04r"),
        (b"r1", encode(OwnerMarker(1, "me"))),
    ],
    ids=["an unknown schema", "a truncated body", "no record of a run"],
)
def test_what_looks_like_ours_but_is_not_understood_stops_the_worker(key: bytes | None, value: bytes) -> None:
    """Skipping it could lose a result of a newer version."""
    with pytest.raises(UndecodableRecord, match=r"wf\.n/1/5"):
        World().take("wf.n", value, key)


def test_a_retired_run_s_late_record_brings_no_row_back() -> None:
    world = World()
    world.tables.put("run", 1, RUN, RunRow(RUN, "success", retired=True))
    assert world.take("wf.up", succeeded("up")) == Effects()
    assert world.take("wf.run", started()).rows.keys() <= {("run", 1, RUN)}


def test_poison_is_a_record_like_any_other() -> None:
    world = World()
    world.processor.handle(inbound(b"{"))
    world.processor.handle(inbound())
    assert [s.topic for s in world.processor.take_effects().sends] == ["wf.dead-letter", "wf.run"]
