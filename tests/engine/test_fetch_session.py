"""Fetch sessions: what is sent, whatever is answered, lost or forgotten; and on real Kafka that all that is there is read."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch, KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.clients import connected_admin, reader_of
from streams.engine.config import EngineConfig
from streams.fetch_session import LAST_EPOCH, Asked, FetchSession, FetchSessions, SessionFetch
from tests.kafka_tools import publish, unique

MOST = 1_000
FROM = {("a", 0): 5, ("a", 1): 7, ("b", 0): 9}


def topics(positions: dict[tuple[str, int], int]) -> list[tuple[str, list[tuple[int, int, int]]]]:
    found: dict[str, list[tuple[int, int, int]]] = {}
    for (topic, partition), offset in positions.items():
        found.setdefault(topic, []).append((partition, offset, MOST))
    return list(found.items())


def begun() -> FetchSession:
    session = FetchSession()
    session.ask(topics(FROM))
    assert session.answered(0, 77)
    return session


def test_the_first_fetch_names_everything() -> None:
    assert FetchSession().ask(topics(FROM)) == Asked(0, 0, topics(FROM))


def test_later_ones_name_what_has_changed() -> None:
    session = begun()
    assert session.ask(topics(FROM)) == Asked(77, 1, [])
    assert session.answered(0, 77)
    assert session.ask(topics({("a", 0): 6, ("b", 0): 9, ("c", 3): 0})) == Asked(
        77, 2, [("a", [(0, 6, MOST)]), ("c", [(3, 0, MOST)])], [("a", [1])]
    )


def test_what_was_forgotten_is_named_again() -> None:
    session = begun()
    session.ask(topics({}))
    session.answered(0, 77)
    assert session.ask(topics({("a", 1): 7})) == Asked(77, 2, [("a", [(1, 7, MOST)])])


@pytest.mark.parametrize(
    ("error", "then"), [(FetchSessionIdNotFound.errno, (0, 0)), (InvalidFetchSessionEpoch.errno, (77, 0))]
)
def test_a_session_that_the_broker_does_not_know_is_begun_anew(error: int, then: tuple[int, int]) -> None:
    session = begun()
    session.ask(topics(FROM))
    assert not session.answered(error, 0)
    assert session.ask(topics(FROM)) == Asked(*then, topics(FROM))


def test_a_broker_that_remembers_nothing_is_told_everything() -> None:
    session = FetchSession()
    for _ in range(3):
        assert session.ask(topics(FROM)) == Asked(0, 0, topics(FROM))
        assert session.answered(0, 0)


def test_after_a_fetch_without_an_answer_a_new_session_takes_the_place_of_the_old_one() -> None:
    session = begun()
    session.ask(topics(FROM))
    session.lost()
    assert session.ask(topics(FROM)) == Asked(77, 0, topics(FROM))


def test_epochs_begin_again_where_they_end() -> None:
    session = begun()
    session._epoch = LAST_EPOCH
    session.ask(topics(FROM))
    session.answered(0, 77)
    assert session.ask(topics(FROM)).epoch == 1


class ModelBroker:
    """What a broker does with sessions, by KIP-227."""

    def __init__(self) -> None:
        self.sessions: dict[int, tuple[int, dict[tuple[str, int], int]]] = {}
        self.made = 0

    def fetch(self, asked: Asked, remembers: bool) -> tuple[int, int, dict[tuple[str, int], int]]:
        """Return error, session and what it would read."""
        named = {(topic, part): offset for topic, parts in asked.topics for part, offset, _ in parts}
        if asked.epoch == 0:
            self.sessions.pop(asked.session, None)
            if not remembers:
                return 0, 0, named
            self.made += 1
            self.sessions[self.made] = (1, named)
            return 0, self.made, named
        if asked.session not in self.sessions:
            return FetchSessionIdNotFound.errno, 0, {}
        epoch, known = self.sessions[asked.session]
        if epoch != asked.epoch:
            return InvalidFetchSessionEpoch.errno, asked.session, {}
        known = known | named
        for topic, parts in asked.forgotten:
            for part in parts:
                del known[(topic, part)]
        self.sessions[asked.session] = (epoch + 1, known)
        return 0, asked.session, known


POSITIONS = st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), st.integers(0, 3))
EVENTS = st.sampled_from(["answered", "answered", "answered", "unseen", "lost", "evicted", "full"])


@given(st.lists(st.tuples(POSITIONS, EVENTS), max_size=30))
def test_a_broker_reads_what_is_wanted_whatever_is_lost(steps: list[tuple[dict[tuple[str, int], int], str]]) -> None:
    session, broker = FetchSession(), ModelBroker()
    for positions, event in steps:
        if event == "evicted":
            broker.sessions.clear()
        if event == "unseen":
            session.ask(topics(positions))
            session.lost()
            continue
        error, number, read = broker.fetch(session.ask(topics(positions)), event != "full")
        if event == "lost":
            session.lost()
            continue
        if not session.answered(error, number):
            error, number, read = broker.fetch(session.ask(topics(positions)), event != "full")
            assert session.answered(error, number)
        assert (error, read) == (0, positions)


def test_a_broker_too_old_for_sessions_is_asked_for_everything() -> None:
    whole = FetchRequest(100, 1, 10_000, 0, topics(FROM))
    told = SessionFetch(whole, Asked(77, 3, []))
    assert told.build(FetchRequest_v4) == whole.build(FetchRequest_v4)
    assert told.build(FetchRequest_v11).topics == []


async def test_a_broken_connection_ends_the_session() -> None:
    sent: list[Any] = []

    async def send(_: int, request: FetchRequest) -> Any:
        sent.append(request.build(FetchRequest_v11))
        if len(sent) == 2:
            raise KafkaConnectionError
        return FetchRequest_v11.RESPONSE_TYPE(0, 0, 77, [])

    sessions, request = FetchSessions(), FetchRequest(100, 1, 10_000, 0, topics(FROM))
    await sessions.fetch(send, 1, request)
    with pytest.raises(KafkaConnectionError):
        await sessions.fetch(send, 1, request)
    await sessions.fetch(send, 1, request)
    assert [(one.session_id, one.session_epoch, len(one.topics)) for one in sent] == [(0, 0, 2), (77, 1, 0), (77, 0, 2)]


@pytest.mark.kafka
async def test_all_that_is_there_is_read(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, sought back, paused and resumed, at a broker that forgets the session in between."""
    config, topic = EngineConfig(bootstrap), unique("sessions")
    async with connected_admin(config) as admin:
        await admin.create_topics([NewTopic(topic, 4, 1)])
    async with reader_of(config, group_id=topic) as consumer:
        fetches = _fetches_of(consumer, monkeypatch)
        places = [TopicPartition(topic, number) for number in range(4)]
        consumer.assign(places)
        await publish(bootstrap, topic, [b"1", b"2", b"3"], ["a", "b", "c"])
        assert sorted(await _values(consumer, 3)) == [b"1", b"2", b"3"]
        assert await consumer.getmany(timeout_ms=300) == {}
        assert [len(fetch.topics) for fetch in fetches][-1] == 0, "nothing has changed, and nothing is named"
        await consumer.seek_to_beginning()
        assert sorted(await _values(consumer, 3)) == [b"1", b"2", b"3"]
        consumer.pause(*places)
        await publish(bootstrap, topic, [b"4"], ["a"])
        assert await consumer.getmany(timeout_ms=300) == {}
        consumer.resume(*places)
        assert await _values(consumer, 1) == [b"4"]
        fetches.forged = 12_345  # a session that is not there, as after a broker's restart
        await publish(bootstrap, topic, [b"5"], ["c"])
        assert await _values(consumer, 1) == [b"5"]
        assert fetches.forged is None
        epochs = [fetch.session_epoch for fetch in fetches]
        assert epochs.count(0) == 2, "one session, and another in the place of what was forgotten"


class _Fetches(list[Any]):
    forged: int | None = None


def _fetches_of(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> _Fetches:
    """Note each fetch as it is sent; `forged` is the session that the next one claims to be of."""
    fetches = _Fetches()
    build = SessionFetch.build

    def noted(self: SessionFetch, version: Any) -> Any:
        made = build(self, version)
        if fetches.forged is not None:
            made.session_id, fetches.forged = fetches.forged, None
        fetches.append(made)
        return made

    monkeypatch.setattr(SessionFetch, "build", noted)
    return fetches


async def _values(consumer: Any, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        batch = await consumer.getmany(timeout_ms=1_000)
        found += [record.value for records in batch.values() for record in records]
    return found
