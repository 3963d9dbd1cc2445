"""Whole records: value and quoting headers are sealed, all else stays; what could not be opened is marked or stops the reader."""

import os
from dataclasses import replace

import pytest
from aiokafka import ConsumerRecord

from schemas import headers as names
from schemas.headers import Headers, header
from schemas.sealed import SEALED_BY, UNSEALED, is_sealed
from streams.errors import KeyMissing, NotEncrypted
from streams.sealing.keyring import Keyring
from streams.sealing.records import open_, seal
from topology.naming import plans_topic

RING = Keyring("k1", {"k1": os.urandom(32)})
HEADERS: Headers = (("ce_id", b"a"), (names.ERROR + "message", b"it said CANARY"), (names.ERROR + "kind", b"handler"))


def record_of(topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(topic, 0, 7, 0, 0, key, value, None, 0, 0, headers)


def sent(topic: str = "wf.dead-letter", value: bytes | None = b"value") -> ConsumerRecord[bytes, bytes]:
    return record_of(topic, b"r1", *seal(RING, topic, b"r1", value, HEADERS))


def test_there_and_back() -> None:
    record = sent()
    assert is_sealed(record.value)
    assert b"CANARY" not in b"".join(text for _, text in record.headers)
    assert (header(record.headers, SEALED_BY), header(record.headers, names.ERROR + "kind")) == ("k1", "handler")
    assert all(text.isascii() for _, text in record.headers)
    open_(RING, record)
    assert (record.value, record.headers) == (b"value", HEADERS)


def test_a_tombstone_stays_one() -> None:
    assert sent(value=None).value is None


def test_a_topic_may_get_another_prefix_and_be_copied_to_more_partitions() -> None:
    moved = replace(sent("wf.run"), topic="wf.run.moving")
    open_(RING, moved)
    assert moved.value == b"value"


def test_a_value_moved_to_another_key_is_marked() -> None:
    moved = replace(sent(), key=b"r2")
    open_(RING, moved)
    assert is_sealed(moved.value)
    assert header(moved.headers, UNSEALED) == "altered"
    assert header(moved.headers, names.ERROR + "message") == "(altered: cannot be read)"


def test_a_frame_in_a_frame_is_marked() -> None:
    inner = sent().value
    record = sent(value=inner)
    open_(RING, record)
    assert (record.value, header(record.headers, UNSEALED)) == (inner, "altered")


def test_plain_records_are_taken_unless_refused() -> None:
    plain = record_of("wf.run", b"r1", b"{}", ())
    open_(RING, plain)
    assert plain.value == b"{}"
    strict = Keyring("k1", {"k1": os.urandom(32)}, require=True)
    with pytest.raises(NotEncrypted, match=r"wf\.run/0/7: not encrypted"):
        open_(strict, plain)
    for topic in ("wf.input", "wf.control"):
        public = record_of(topic, b"r1", b"{}", ())
        open_(strict, public)
        assert header(public.headers, UNSEALED) == "plain"
    open_(strict, record_of(plans_topic(), b"wf/1", b"{}", ()))


def test_others_may_have_other_keys_for_what_all_share() -> None:
    none = Keyring()
    shared = sent(plans_topic())
    open_(none, shared)
    assert is_sealed(shared.value)
    assert "add encryption.keys.k1" in (header(shared.headers, UNSEALED) or "")
    with pytest.raises(KeyMissing):
        open_(none, sent("wf.run"))
