"""Intake: any bytes of a public topic become one record or one dead letter, never an exception (PROTOCOL.md 4)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import content_hash, run_id_from_bytes, run_id_from_position, traceparent_of
from schemas.records import Cancelled, CancelRequested, Json, Position, Started
from streams.core.compiled import CompiledWorkflow, compile_workflow
from streams.core.inbound import Inbound
from streams.core.intake import admit, command
from streams.core.transition import Send, send
from tests.core.examples import MOMENT, NOW, TRACE, inbound
from tests.plans import CHAIN, plan_of
from topology.plan import RunIdFrom

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
WF = compile_workflow(plan_of(CHAIN))
AT = Position("wf.input", 1, 42)


def admitted(record: Inbound, workflow: CompiledWorkflow = WF) -> Started:
    found = admit(workflow, record, MOMENT)
    assert found.topic == "wf.run"
    assert isinstance(found.value, Started)
    return found.value


def refused(record: Inbound, workflow: CompiledWorkflow = WF) -> str:
    """Return the kind of the dead letter, which keeps key, value and headers as they were."""
    found = admit(workflow, record, MOMENT)
    assert (found.topic, found.key, found.value) == ("wf.dead-letter", record.key, record.value)
    headers = dict(found.headers)
    assert headers["penstock.error.topic"] == b"wf.input"
    assert (headers["penstock.error.partition"], headers["penstock.error.offset"]) == (b"1", b"42")
    assert headers["ce_id"] == b"wf.input/1/42/DeadLetter"
    return headers["penstock.error.kind"].decode()


def test_an_input_becomes_started_as_it_came() -> None:
    trace = traceparent_of("wf", "r1")
    expected = Started("r1", Json('{"n" : 1}'), content_hash({"n": 1}), "hash", "1", NOW, AT, b"r1", trace)
    assert admit(WF, inbound(b'{"n" : 1}'), MOMENT) == send("wf.run", expected, "run", 0, 0, trace)


def test_a_producer_s_trace_is_kept() -> None:
    assert admitted(inbound(headers=[("traceparent", TRACE.encode())])).traceparent == TRACE


BY: dict[tuple[RunIdFrom, bytes | None, bytes | None], str] = {
    ("auto", b"k", b"c"): "k",
    ("auto", None, b"c"): "c",
    ("auto", b"", b"c"): "c",
    ("auto", None, None): run_id_from_position("wf.input", 1, 42, 1_700_000_000_000),
    ("auto", None, b"\xff"): run_id_from_position("wf.input", 1, 42, 1_700_000_000_000),
    ("auto", b"\x00\xff", None): run_id_from_bytes(b"\x00\xff"),
    ("key", b"k", b"c"): "k",
    ("ce_id", b"k", b"c"): "c",
    ("ce_id", b"k", b"a/b"): run_id_from_bytes(b"a/b"),
    ("offset", b"k", b"c"): run_id_from_position("wf.input", 1, 42, 1_700_000_000_000),
}


@pytest.mark.parametrize(("how", "key", "ce_id"), BY)
def test_run_id_from(how: RunIdFrom, key: bytes | None, ce_id: bytes | None) -> None:
    workflow = compile_workflow(plan_of(CHAIN, run_id_from=how))
    headers = [] if ce_id is None else [("ce_id", ce_id)]
    assert admitted(inbound(key=key, headers=headers), workflow).run_id == BY[how, key, ce_id]


@pytest.mark.parametrize("how", ["auto", "key", "ce_id", "offset"])
def test_publish_names_the_run_whatever_the_workflow_says(how: RunIdFrom) -> None:
    workflow = compile_workflow(plan_of(CHAIN, run_id_from=how))
    assert admitted(inbound(headers=[("penstock.run_id", b"mine")]), workflow).run_id == "mine"


@pytest.mark.parametrize(("how", "key"), [("key", None), ("key", b""), ("ce_id", b"k")])
def test_a_record_without_what_names_it_is_poison(how: RunIdFrom, key: bytes | None) -> None:
    assert refused(inbound(key=key), compile_workflow(plan_of(CHAIN, run_id_from=how))) == "no_run_id"


def test_a_recreated_topic_makes_new_runs() -> None:
    keyless = inbound(key=None)
    assert admitted(keyless).run_id != admitted(replace(keyless, timestamp=keyless.timestamp + 1)).run_id


POISON = {
    None: "null_input",
    b"null": "null_input",
    b" null ": "null_input",
    b"": "invalid_json",
    b"\xff\xfe{": "invalid_json",
    b"{": "invalid_json",
    b"NaN": "invalid_json",
    b"1e999": "invalid_json",
    b"\xef\xbb\xbf{}": "invalid_json",
    b'"\\ud800"': "invalid_json",
    b"[" * 5000: "invalid_json",
    b"\0\0\x0fB@rest": "invalid_json",
}


@pytest.mark.parametrize("value", POISON, ids=lambda value: repr(value)[:20])
def test_poison(value: bytes | None) -> None:
    assert refused(inbound(value, headers=[("h", b"\xff"), ("ce_id", b"x")])) == POISON[value]


def test_an_input_that_breaks_the_schema_is_poison() -> None:
    workflow = compile_workflow(plan_of(CHAIN, input_schema=SCHEMA))
    assert refused(inbound(b'{"n": "one"}'), workflow) == "input_schema"
    assert refused(inbound(b"[]"), workflow) == "input_schema"
    assert admitted(inbound(), workflow).run_id == "r1"


def test_poison_keeps_the_producer_s_headers() -> None:
    found = admit(WF, inbound(b"{", headers=[("mine", b"\xff"), ("mine", b"2"), ("ce_id", b"x")]), MOMENT)
    assert found.headers[:2] == (("mine", b"\xff"), ("mine", b"2"))
    assert [value for name, value in found.headers if name == "ce_id"] == [b"wf.input/1/42/DeadLetter"]


@pytest.mark.parametrize("timestamp", [-1, 0, 1_700_000_000_000_000_000, 2**63 - 1])
def test_any_timestamp_of_a_producer_is_survived(timestamp: int) -> None:
    """A producer that counts nanoseconds must not end the worker."""
    assert refused(inbound(b"{", timestamp=timestamp)) == "invalid_json"
    assert admitted(inbound(key=None, timestamp=timestamp)).run_id.startswith("o-1-42-")


@pytest.mark.parametrize("depth", [100, 254, 255, 1024])
def test_any_depth_of_an_input_is_survived(depth: int) -> None:
    """JSON may be parsed deeper than it can be written again: too deep is poison, not the end of the worker."""
    found = admit(WF, inbound(b"[" * depth + b"]" * depth), MOMENT)
    assert found.topic in ("wf.run", "wf.dead-letter")


@given(
    value=st.none() | st.binary() | st.text().map(lambda t: t.encode(errors="surrogatepass")),
    key=st.none() | st.binary(),
    headers=st.lists(st.tuples(st.sampled_from(["ce_id", "traceparent", "penstock.run_id", "x"]), st.binary())),
    how=st.sampled_from(["auto", "key", "ce_id", "offset"]),
    timestamp=st.integers(-1, 4_000_000_000_000),
)
def test_no_bytes_raise(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], how: RunIdFrom, timestamp: int
) -> None:
    workflow = compile_workflow(plan_of(CHAIN, run_id_from=how, input_schema=SCHEMA))
    record = inbound(value, key, headers, timestamp=timestamp)
    assert isinstance(admit(workflow, record, MOMENT), Send)
    assert len(command(workflow, replace(record, topic="wf.control"), MOMENT)) >= 1


def test_a_repeat_of_the_same_record_says_the_same() -> None:
    """Intake is stateless: what it wrote twice is dropped by its source and `ce_id`."""
    first, again = (admit(WF, inbound(), moment) for moment in (MOMENT, replace(MOMENT, now=NOW + 9)))
    assert first.headers == again.headers
    assert isinstance(first.value, Started)
    assert isinstance(again.value, Started)
    assert replace(again.value, started_at=NOW) == first.value


def control(value: bytes | None) -> tuple[Send, ...]:
    return command(WF, inbound(value, key=b"anything", topic="wf.control"), MOMENT)


def test_a_cancel_goes_to_the_run_and_to_every_node() -> None:
    trace = traceparent_of("wf", "r1")
    requested = CancelRequested("r1", NOW, Position("wf.control", 1, 42))
    assert control(b'{"type": "cancel", "run_id": "r1"}') == (
        send("wf.run", requested, "run", 0, 0, trace),
        *(send(f"wf.{node}", Cancelled("r1", node, 0, 0, NOW), node, 0, 0, trace) for node in "abc"),
    )


@pytest.mark.parametrize(
    "value",
    [
        b"[]",
        b'"cancel"',
        b'{"type": "cancel"}',
        b'{"type": 1, "run_id": "r1"}',
        b'{"type": "cancel", "run_id": 1}',
        b'{"type": "cancel", "run_id": ""}',
        b'{"type": "cancel", "run_id": "a/b"}',
        b'{"type": "cancel", "run_id": "a\\u0000"}',
        b'{"type": "explode", "run_id": "r1"}',
        b'{"run_id": "r1"}',
    ],
)
def test_a_command_that_is_none_goes_to_the_dead_letter(value: bytes) -> None:
    (found,) = control(value)
    assert (found.topic, found.key, found.value) == ("wf.dead-letter", b"anything", value)
    assert dict(found.headers)["penstock.error.kind"] == b"control"


@pytest.mark.parametrize("value", [None, b"null", b"\xff", b"{"])
def test_a_command_that_is_no_json(value: bytes | None) -> None:
    (found,) = control(value)
    assert dict(found.headers)["penstock.error.kind"] in (b"null_input", b"invalid_json")
