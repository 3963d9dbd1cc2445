"""W3C trace context: what is one, what is none, and ids that are the same in every process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import traceparent_of
from schemas.trace import TraceParent, parse_traceparent, span_id_of

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        GOOD.upper(),
        GOOD + "-extra",
        GOOD + "\n",
        "ff" + GOOD[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        GOOD[:-1],
        "00-0af7651916cd43dd8448eb211c80319cx-b7ad6b7169203331-01",
    ],
)
def test_what_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_flags_and_later_versions() -> None:
    assert parse_traceparent(GOOD) == TraceParent(GOOD[3:35], GOOD[36:52], sampled=True)
    assert parse_traceparent(GOOD[:-2] + "00") == TraceParent(GOOD[3:35], GOOD[36:52], sampled=False)
    assert parse_traceparent("cc" + GOOD[2:] + "-what.the.future.brings") == parse_traceparent(GOOD)


@given(st.text(), st.text())
def test_what_is_derived_is_one(workflow: str, run_id: str) -> None:
    try:
        text = traceparent_of(workflow, run_id)
    except UnicodeEncodeError:
        return
    assert str(parse_traceparent(text)) == text


@given(st.text(), st.text(), st.lists(st.one_of(st.text(), st.integers())))
def test_a_place_has_one_id(workflow: str, run_id: str, place: list[str | int]) -> None:
    found = span_id_of(workflow, run_id, *place)
    assert found == span_id_of(workflow, run_id, *place)
    assert int(found, 16) >= 0
    assert len(found) == 16
