"""One dead letter, read from its record: what it is of, why it failed, and which run it belongs to or would start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aiokafka import ConsumerRecord

from schemas import headers as names
from schemas.headers import Headers, header
from schemas.ids import is_run_id, run_id_from_bytes, run_id_from_position
from schemas.records import Position
from topology.naming import input_topic

CONFLICT = "run_id_conflict"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of the dead-letter topic; `at` is its place, `timestamp` (epoch ms) when it was written.

    Of a node: `node` and `epoch` say what failed, in the run `run_id`. Of a record that could not be used: `source` is where that
    stands and, for an input, `run_id` the run that it starts when it is sent back. `subject` is the id it came with.
    """

    at: Position
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    run_id: str | None
    subject: str | None
    node: str | None
    epoch: int | None
    source: Position | None
    is_input: bool

    def cause(self, name: str) -> str | None:
        """Return a header of the cause: kind, message, attempt, traceback..."""
        return header(self.headers, names.ERROR + name)

    @property
    def kind(self) -> str:
        """Why it failed, in one word."""
        return self.cause("kind") or "unknown"

    @property
    def attempt(self) -> int | None:
        """How many attempts a node made."""
        return _number(self.cause("attempt"))

    @property
    def redrivable(self) -> bool:
        """Say whether it can be sent back: a command, or a foreign record in a journal, cannot."""
        return self.is_input or (self.epoch is not None and self.run_id is not None)

    @property
    def place(self) -> str:
        """Where it stands: `partition/offset`."""
        return f"{self.at.partition}/{self.at.offset}"


def letter_in(record: ConsumerRecord, workflow_id: str) -> DeadLetter:
    """Return the dead letter that a record is; one that lacks headers (somebody else wrote it) can be looked at, no more."""
    headers: Headers = tuple(record.headers)
    node, source = header(headers, names.ERROR + "node"), source_of(headers)
    is_input = node is None and source is not None and source.topic == input_topic(workflow_id)
    subject = header(headers, names.CE_SUBJECT)
    return DeadLetter(
        at=Position(record.topic, record.partition, record.offset),
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=headers,
        run_id=_run_of_input(record.key, headers, source) if is_input and source else _run_of_key(record.key),
        subject=subject if subject and is_run_id(subject) else None,
        node=node,
        epoch=None if node is None else _epoch(headers),
        source=source,
        is_input=is_input,
    )


def _run_of_input(key: bytes | None, headers: Headers, source: Position) -> str:
    """Return the id that an input's run would have had; one of its place if it names none, or one that another run has."""
    if header(headers, names.ERROR + "kind") != CONFLICT:
        named = (header(headers, names.RUN_ID) or "").encode() or key or _producers_ce_id(headers, source)
        if named:
            return run_id_from_bytes(named)
    return id_of_place(headers, source)


def id_of_place(headers: Headers, source: Position) -> str:
    """Return the run id of an input that brought none, from where it stands and when it was published."""
    published_at = _time(header(headers, names.CE_TIME))
    return run_id_from_position(source.topic, source.partition, source.offset, published_at)


def _producers_ce_id(headers: Headers, source: Position) -> bytes | None:
    own = f"{source.topic}/{source.partition}/{source.offset}/DeadLetter".encode()
    return next((text for name, text in headers if name == names.CE_ID and text != own), None)


def _run_of_key(key: bytes | None) -> str | None:
    text = (key or b"").decode(errors="replace")
    return text if is_run_id(text) else None


def _epoch(headers: Headers) -> int | None:
    """Return the epoch in a node's `ce_id`: `run/node/epoch/seq/DeadLetter`, no part of which holds a `/`."""
    parts = (header(headers, names.CE_ID) or "").split("/")
    return _number(parts[2]) if len(parts) == 5 else None


def source_of(headers: Headers) -> Position | None:
    """Return where the record stands that could not be used."""
    topic, partition, offset = (header(headers, names.ERROR + name) for name in ("topic", "partition", "offset"))
    at = _number(partition), _number(offset)
    return None if topic is None or at[0] is None or at[1] is None else Position(topic, at[0], at[1])


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _time(text: str | None) -> int:
    try:
        return 0 if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
