"""Dead letters read from records, how they stand, and the records that send them back; the letters are the engine's own."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from penstock.client.dead_letter import DeadLetter, letter_in
from penstock.client.dead_letter_details import Journals
from penstock.client.dead_letters import REDRIVEN_FROM, Selection, with_status
from penstock.client.redrive_records import content_of, redrive_of, seen_by, why_not
from penstock.client.workflows import Workflow
from schemas.codec import encode
from schemas.headers import Headers, header
from schemas.ids import run_id_from_bytes, run_id_from_position
from schemas.records import (
    AttemptFailed,
    EpochOpened,
    ErrorInfo,
    Json,
    NodeOutcome,
    Position,
    RunRow,
    Spent,
    Started,
)
from streams.core.dead_letter import conflicting_start, poison
from streams.core.inbound import Inbound
from streams.core.transition import Send

WF = Workflow("wf", 4, ("a", "b"))
TOPIC = "wf.dead-letter"
PUBLISHED, WRITTEN = 1_700_000_000_123, 1_700_000_005_000
ORIGINAL = Position("wf.input", 2, 7)
OF_ORIGINAL = run_id_from_position("wf.input", 2, 7, PUBLISHED)


def received(sent: Send, offset: int = 0) -> DeadLetter:
    """Return the letter as a reader gets it."""
    assert sent.value is None or isinstance(sent.value, bytes)
    sizes = (None, len(sent.key or b""), len(sent.value or b""))
    record = ConsumerRecord(TOPIC, 0, offset, WRITTEN, 0, sent.key, sent.value, *sizes, sent.headers)
    return letter_in(record, "wf")


def refused_input(
    key: bytes | None = None,
    value: bytes | None = b"{}",
    headers: Headers = (),
    topic: str = "wf.input",
    offset: int = 0,
) -> DeadLetter:
    """Return the letter of a record that could not be used."""
    at = Inbound(topic, 2, 7, PUBLISHED, key, value, headers)
    return received(poison(TOPIC, "wf", at, "input_schema", "no n"), offset)


def failed_node(epoch: int = 0, node: str = "a", value: bytes = b'{"input":{"n":1},"z":null}') -> DeadLetter:
    """Return the letter of a node."""
    headers = (
        ("ce_id", f"r1/{node}/{epoch}/3/DeadLetter".encode()),
        ("ce_subject", b"r1"),
        ("penstock.error.kind", b"handler"),
        ("penstock.error.node", node.encode()),
        ("penstock.error.attempt", b"2"),
    )
    return received(Send(TOPIC, b"r1", value, headers))


def run(run_id: str = "r1", started_at: int = WRITTEN + 1, **more: Any) -> dict[str, RunRow]:
    """Return the table with one run."""
    return {run_id: RunRow(run_id, "failed", source=ORIGINAL, started_at=started_at, **more)}


def status(letter: DeadLetter, rows: dict[str, RunRow]) -> str:
    """Return how one letter stands."""
    ((_, found),) = with_status([letter], rows)
    return found


def test_a_node() -> None:
    letter = failed_node(epoch=41)
    assert (letter.run_id, letter.node, letter.epoch, letter.kind, letter.attempt) == ("r1", "a", 41, "handler", 2)
    assert (letter.source, letter.is_input, letter.redrivable, letter.place) == (None, False, True, "0/0")
    assert seen_by(letter) == ["input", "z"]


def test_a_node_is_redriven_once_it_ran_in_a_later_epoch() -> None:
    letter = failed_node(epoch=0)
    assert status(letter, {}) == "open"
    assert status(letter, run()) == "open"
    assert status(letter, run(epoch=9)) == "redriven"
    assert status(letter, run(epoch=9, nodes={"a": NodeOutcome("failed", epoch=9)})) == "redriven"
    assert status(letter, run(epoch=9, nodes={"a": NodeOutcome("failed"), "b": NodeOutcome(epoch=9)})) == "open"


def test_the_command_for_a_node_names_the_epoch_in_which_it_failed() -> None:
    sent = redrive_of(WF, failed_node(epoch=41), {"input": {"n": 2}}, "me@here")
    assert (sent.topic, sent.key, sent.headers) == ("wf.control", b"r1", ())
    assert json.loads(sent.value) == {  # type: ignore[arg-type]
        "type": "redrive",
        "run_id": "r1",
        "node": "a",
        "epoch": 41,
        "edit": {"input": {"n": 2}},
        "requested_by": "me@here",
    }
    assert b"edit" not in redrive_of(WF, failed_node(), None, "me@here").value  # type: ignore[operator]


@pytest.mark.parametrize(
    ("key", "headers", "run_id"),
    [
        (b"r1", (), "r1"),
        (b"r1", (("penstock.run_id", b"named"),), "named"),
        (b"\xff\x00", (), run_id_from_bytes(b"\xff\x00")),
        (None, (), OF_ORIGINAL),
        (b"", (), OF_ORIGINAL),
    ],
)
def test_an_input_has_the_run_id_it_would_have_had(key: bytes | None, headers: Headers, run_id: str) -> None:
    letter = refused_input(key, headers=headers)
    assert (letter.is_input, letter.run_id, letter.source, letter.node, letter.epoch) == (
        True,
        run_id,
        ORIGINAL,
        None,
        None,
    )
    assert header(redrive_of(WF, letter, None, "").headers, "penstock.run_id") == run_id


def test_an_input_goes_back_as_it_came() -> None:
    came: Headers = (("content-type", b"application/json"), ("traceparent", b"00-1-2-01"), ("mine", b"\xff"))
    letter = refused_input(b"\xff", b"not json", came)
    assert redrive_of(WF, letter, None, "") == Send(
        "wf.input",
        b"\xff",
        b"not json",
        (*came, ("penstock.run_id", run_id_from_bytes(b"\xff").encode()), (REDRIVEN_FROM, b"0/0")),
    )


@pytest.mark.parametrize(
    ("value", "edited"),
    [
        (b'{"a":1,"b":{"c":2}}', {"a": 1, "b": {"n": 5}}),
        (b"not json", {"b": {"n": 5}}),
        (None, {"b": {"n": 5}}),
        (b"[1]", {"b": {"n": 5}}),
    ],
)
def test_an_edit_of_an_input(value: bytes | None, edited: object) -> None:
    edit = {"b": {"c": None, "n": 5}}
    assert why_not([refused_input(b"r1", value)], edit) is None
    assert json.loads(redrive_of(WF, refused_input(b"r1", value), edit, "").value) == edited  # type: ignore[arg-type]


def test_a_conflict_gets_an_id_of_its_own() -> None:
    started = Started("r1", '{"n":2}', "h", "p", "1", PUBLISHED, ORIGINAL, b"r1", "00-1-2-01")  # type: ignore[arg-type]
    letter = received(conflicting_start(TOPIC, "wf", started, "another input"))
    assert (letter.run_id, letter.subject, letter.kind) == (OF_ORIGINAL, "r1", "run_id_conflict")
    assert Selection(run_id="r1").has(letter)
    assert status(letter, run("r1", PUBLISHED - 5)) == "open"
    assert status(letter, run(OF_ORIGINAL)) == "redriven"
    sent = redrive_of(WF, letter, None, "")
    assert (sent.key, sent.value) == (b"r1", b'{"n":2}')
    assert header(sent.headers, "penstock.run_id") == OF_ORIGINAL


def test_an_input_whose_id_a_run_had_before_gets_an_id_of_its_own() -> None:
    ((letter, found),) = with_status([refused_input(b"r1")], run("r1", WRITTEN - 1))
    assert (letter.run_id, found) == (OF_ORIGINAL, "open")
    ((letter, found),) = with_status([refused_input(b"r1")], run("r1", WRITTEN + 1))
    assert (letter.run_id, found) == ("r1", "redriven")


def test_an_input_refused_again_stands_for_the_first() -> None:
    first = refused_input(b"r1")
    sent = redrive_of(WF, first, None, "")
    assert isinstance(sent.value, bytes)
    second = refused_input(sent.key, sent.value, sent.headers, offset=1)
    assert [found for _, found in with_status([first, second], {})] == ["redriven", "open"]
    third = redrive_of(WF, second, None, "")
    assert [text for name, text in third.headers if name == REDRIVEN_FROM] == [b"0/1"]
    assert sum(name == "penstock.run_id" for name, _ in third.headers) == 1


def test_what_can_only_be_looked_at() -> None:
    command = refused_input(b"r1", topic="wf.control")
    assert (command.run_id, command.redrivable) == ("r1", False)
    assert status(command, run(epoch=7)) == "open"
    foreign = received(Send(TOPIC, b"a/b", b"?", (("penstock.error.node", b"a"), ("ce_id", b"nonsense"))))
    assert (foreign.run_id, foreign.epoch, foreign.kind, foreign.redrivable) == (None, None, "unknown", False)
    assert received(Send(TOPIC, None, None, ())).redrivable is False


def test_edits_that_cannot_be_meant() -> None:
    assert why_not([failed_node()], {"input": 1, "z": 2}) is None
    assert why_not([failed_node()], {"y": 1}) == "'y' is nothing that node 'a' of run 'r1' sees; it sees input, z"
    both = why_not([failed_node(), refused_input()], {"input": 1})
    assert both is not None
    assert "--node or --kind" in both
    deep: Any = json.loads("[" * 255 + "]" * 255)
    assert why_not([failed_node()], {"input": deep}) == "nested too deeply"


def test_selection() -> None:
    letter = failed_node()
    assert Selection().has(letter)
    assert Selection("r1", "a", "handler").has(letter)
    assert not any(one.has(letter) for one in (Selection("r2"), Selection(node="b"), Selection("r1", "a", "timeout")))
    assert not Selection("r1").has(replace(letter, run_id=None, subject=None))


def test_content() -> None:
    deep = b"[" * 300 + b"]" * 300
    assert content_of(b'{"a":1}') == {"a": 1}
    assert content_of(None) is None
    assert content_of(b"\xff") == {"note": "not JSON", "base64": "/w=="}
    assert content_of(deep)["note"] == "nested too deeply"


def attempt(seq: int, raw: str | None = None, **more: Any) -> bytes:
    """Return a failed attempt of node `a` as it stands in the journal."""
    of: dict[str, Any] = {"run_id": "r1", "node": "a", "epoch": 41} | more
    error = ErrorInfo("bad_output", f"no {seq}", retryable=True)
    return encode(
        AttemptFailed(
            **of,
            seq=seq,
            attempt=seq + 1,
            error=error,
            spent=Spent(),
            model="m",
            raw=raw,
            started_at=WRITTEN,
            finished_at=WRITTEN,
        )
    )


def opened(epoch: int, run_id: str = "r1", edit: str | None = None) -> bytes:
    """Return the opening of an epoch as it stands in `wf.run`."""
    text = None if edit is None else Json(edit)
    at = Position("wf.control", 0, epoch)
    return encode(EpochOpened(run_id, epoch, 0, "a", ("a", "b"), text, "p", "1.1.0", "me@here", WRITTEN, WRITTEN, at))


def test_details_are_of_the_failure_and_of_the_epochs_since() -> None:
    letter = failed_node(epoch=41)
    journals = Journals([letter])
    theirs = [attempt(0, run_id="r2"), attempt(0, node="b"), attempt(9, "of another epoch", epoch=0)]
    for value in (*theirs, attempt(1, "last"), attempt(0, "first"), attempt(1, "last"), None, b"not ours"):
        journals.take(value)
    for value in (opened(41), opened(70), opened(60, edit='{"input":{"n":2}}'), opened(60), opened(80, run_id="r2")):
        journals.take(value)
    detail = journals.detail_of(letter)
    assert [(of["attempt"], of["error"]["message"], of["raw"]) for of in detail["attempts"]] == [
        (1, "no 0", "first"),
        (2, "no 1", "last"),
    ]
    assert detail["raw"] == "last"
    assert [(of["epoch"], of["requested_by"], of["workflow_version"], of["edit"]) for of in detail["redrives"]] == [
        (60, "me@here", "1.1.0", {"input": {"n": 2}}),
        (70, "me@here", "1.1.0", None),
    ]
    assert detail["value"] == {"input": {"n": 1}, "z": None}


def test_details_of_an_input_are_its_own() -> None:
    letter = refused_input(b"r1", b"not json")
    journals = Journals([letter])
    journals.take(opened(60))
    detail = journals.detail_of(letter)
    assert (detail["attempts"], detail["raw"], detail["redrives"]) == ([], None, [])
    assert (detail["key"], detail["value"]["note"]) == ("r1", "not JSON")
