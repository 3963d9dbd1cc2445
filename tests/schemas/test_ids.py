"""Ids are functions of their cause: the same bytes give the same id, and any bytes give one that keys and addresses can hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import (
    MAX_RUN_ID,
    canonical_json,
    ce_id,
    content_hash,
    is_run_id,
    run_id_from_bytes,
    run_id_from_position,
    traceparent_of,
)


@pytest.mark.parametrize("text", ["r", "order 7", "ключ", "a" * MAX_RUN_ID, "🚰", "a.b_c-d:e", "k\u00e9"])
def test_printable_text_is_its_own_run_id(text: str) -> None:
    assert is_run_id(text)
    assert run_id_from_bytes(text.encode()) == text


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\x00\x00\x00\x07",
        b"\xff\xfe",
        b"a/b",
        b" a",
        b"a ",
        b"a\n",
        b"a\tb",
        b"a\x00b",
        b"a" * (MAX_RUN_ID + 1),
        "zero\u200bwidth".encode(),
        "line\u2028separator".encode(),
        b"\xed\xa0\x80",
    ],
)
def test_any_other_key_becomes_a_digest(key: bytes) -> None:
    run_id = run_id_from_bytes(key)
    assert run_id.startswith("k-")
    assert len(run_id) == 34
    assert run_id == run_id_from_bytes(key) != run_id_from_bytes(key + b"x")


@given(st.binary(max_size=300))
def test_any_bytes_name_a_run(key: bytes) -> None:
    run_id = run_id_from_bytes(key)
    assert is_run_id(run_id)
    assert run_id_from_bytes(run_id.encode()) == run_id


def test_every_part_of_a_position_counts() -> None:
    places = [
        ("t", 0, 1, 2),
        ("u", 0, 1, 2),
        ("t", 1, 1, 2),
        ("t", 0, 2, 2),
        ("t", 0, 1, 3),
        ("t", 11, 1, 2),
        ("t", 1, 11, 2),
    ]
    made = [run_id_from_position(*place) for place in places]
    assert len(set(made)) == len(places)
    assert all(is_run_id(run_id) for run_id in made)
    assert made == [run_id_from_position(*place) for place in places]


def test_ce_id() -> None:
    assert ce_id("r", "n", 1, 2, "Succeeded") == "r/n/1/2/Succeeded"
    assert ce_id("r", "n", 1, 2, "Succeeded", index=0) == "r/n[0]/1/2/Succeeded"


def test_a_hash_is_of_the_value_not_of_its_spelling() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()


def test_a_derived_traceparent_is_valid_and_the_run_s_own() -> None:
    version, trace, span, flags = traceparent_of("wf", "r").split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert len({traceparent_of(*of) for of in (("wf", "r"), ("wf", "s"), ("wg", "r"), ("wfr", ""))}) == 4
