"""What is sealed opens for the same place alone, under any key that is still there; what cannot be read says which key it needs."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sealed import MAGIC, bound_to, is_sealed, key_id_of, parse
from streams.errors import KeyMissing, KeyWrong
from streams.sealing import keyring as keyrings
from streams.sealing.keyring import Altered, Keyring

K1, K2 = os.urandom(32), os.urandom(32)
HERE = bound_to("wf.input", b"r1")


@given(st.binary(), st.binary(), st.text())
def test_what_is_sealed_opens(value: bytes, key: bytes, topic: str) -> None:
    ring, place = Keyring("k1", {"k1": K1}), bound_to(topic.encode(errors="replace").decode(), key)
    sealed = ring.seal(value, place)
    assert is_sealed(sealed)
    assert key_id_of(sealed) == "k1"
    assert len(value) < 8 or value not in sealed
    assert ring.open(sealed, place) == value


def test_the_same_value_is_never_the_same_bytes() -> None:
    ring = Keyring("k1", {"k1": K1})
    assert len({ring.seal(b"value", HERE) for _ in range(100)}) == 100


def test_another_process_reads_it() -> None:
    assert Keyring(None, {"k1": K1}).open(Keyring("k1", {"k1": K1}).seal(b"value", HERE), HERE) == b"value"


def test_after_rotation_the_old_is_read_and_the_new_key_seals() -> None:
    old = Keyring("k1", {"k1": K1}).seal(b"value", HERE)
    both = Keyring("k2", {"k1": K1, "k2": K2})
    assert both.open(old, HERE) == b"value"
    assert key_id_of(both.seal(b"value", HERE)) == "k2"


@pytest.mark.parametrize(
    "place", [bound_to("wf.input", b"r2"), bound_to("wf.output", b"r1"), bound_to("wf.input", b"r1", "h")]
)
def test_it_opens_at_its_place_alone(place: bytes) -> None:
    ring = Keyring("k1", {"k1": K1})
    with pytest.raises(Altered):
        ring.open(ring.seal(b"value", HERE), place)


def test_a_changed_byte_is_found_wherever_it_is() -> None:
    ring = Keyring("k1", {"k1": K1})
    sealed = ring.seal(b"value", HERE)
    for at in range(len(MAGIC), len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises((Altered, KeyMissing, KeyWrong)):
            ring.open(changed, HERE)


def test_a_cut_value_is_altered() -> None:
    ring = Keyring("k1", {"k1": K1})
    sealed = ring.seal(b"value", HERE)
    for length in range(len(MAGIC), len(sealed)):
        with pytest.raises(Altered):
            ring.open(sealed[:length], HERE)


def test_a_missing_key_is_named() -> None:
    sealed = Keyring("k1", {"k1": K1}).seal(b"value", HERE)
    with pytest.raises(KeyMissing, match=r"t/0/5: encrypted with key 'k1', .* \(it has k2\): add encryption\.keys\.k1"):
        Keyring("k2", {"k2": K2}).open(sealed, HERE, "t/0/5")
    with pytest.raises(KeyMissing, match="it has none"):
        Keyring().open(sealed, HERE)


def test_another_key_of_the_same_name_is_told_from_an_altered_value() -> None:
    sealed = Keyring("k1", {"k1": K1}).seal(b"value", HERE)
    with pytest.raises(KeyWrong, match=r"correct encryption\.keys\.k1"):
        Keyring("k1", {"k1": K2}).open(sealed, HERE)


def test_a_data_key_serves_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyrings, "MAX_USES", 3)
    ring = Keyring("k1", {"k1": K1})
    frames = [parse(ring.seal(b"value", HERE)) for _ in range(7)]
    assert [len({frame.wrapped for frame in frames[n : n + 3] if frame}) for n in (0, 3, 6)] == [1, 1, 1]
    assert len({frame.wrapped for frame in frames if frame}) == 3


def test_no_key_is_shown() -> None:
    assert repr(Keyring("k1", {"k1": K1, "k2": K2})) == "Keyring(current='k1', keys=['k1', 'k2'])"
