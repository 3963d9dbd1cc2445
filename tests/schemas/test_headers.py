"""Record headers: text in, text out, and never an exception for a producer's bytes."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.headers import header, headers_of, public_headers


def test_none_is_left_out_and_numbers_are_text() -> None:
    assert headers_of({"a": "x", "b": None, "c": 0}) == (("a", b"x"), ("c", b"0"))


def test_the_last_header_of_a_name_counts() -> None:
    assert header([("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", None)], "a") == "3"
    assert header([("b", b"2")], "a") is None
    assert header([("a", b"\xff")], "a") is None


@given(st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=5))), st.text(max_size=3))
def test_any_headers_can_be_read(headers: list[tuple[str, bytes | None]], name: str) -> None:
    found = header(headers, name)
    assert found is None or isinstance(found, str)


def test_public_topics_carry_cloudevents_and_a_trace() -> None:
    found = public_headers("id", "Result", "penstock/wf", "2024-01-01T00:00:00Z", "r", "00-t-s-01")
    assert [name for name, _ in found] == [
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_specversion",
        "ce_time",
        "ce_subject",
        "traceparent",
    ]
    assert "traceparent" not in dict(public_headers("id", "t", "s", "t", "r", None))
