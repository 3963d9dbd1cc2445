"""Sealing and opening of whole records: the value, and those headers that may quote it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from schemas import headers as names
from schemas.headers import Headers
from schemas.sealed import MAGIC, SEALED_BY, UNSEALED, as_text, bound_to, from_text, is_sealed
from streams.errors import KeyMissing, KeyWrong, NotEncrypted, Unreadable
from streams.sealing.keyring import Altered, Keyring
from topology.naming import MOVING, plans_topic, prefix_in_use, provider_states_topic

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

QUOTING = frozenset(names.ERROR + name for name in ("message", "traceback", "raw"))
"""Headers that may hold a piece of an input or of an answer."""

PUBLIC = (".input", ".control")
"""How the topics end to which anybody may write: what is refused there becomes a dead letter, elsewhere it stops the reader."""


def seal(
    keyring: Keyring, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]
) -> tuple[bytes | None, Headers]:
    """Return value and headers as they go on the wire; a tombstone has nothing to hide."""
    kept = [(name, text) for name, text in headers if name not in (SEALED_BY, UNSEALED)]
    for place, (name, text) in enumerate(kept):
        if name in QUOTING and text:
            kept[place] = (name, as_text(keyring.seal(text, bound(topic, key, name))))
    if value is None:
        return None, tuple(kept)
    kept.append((SEALED_BY, (keyring.current or "").encode()))
    return keyring.seal(value, bound(topic, key)), tuple(kept)


def open_(keyring: Keyring, record: ConsumerRecord) -> None:
    """Put what was sealed in the place of what came.

    Raises:
        KeyMissing, KeyWrong: this process cannot read it.
        NotEncrypted: it is not sealed, and must be.
    """
    try:
        _open(keyring, record)
    except Unreadable as error:
        error.topic = record.topic
        raise


def _open(keyring: Keyring, record: ConsumerRecord) -> None:
    value = record.value
    if value is not None and value.startswith(MAGIC):
        _open_value(keyring, record, value)
    elif keyring.require and value is not None and not is_shared(record.topic):
        _refuse(record)
    if any(name in QUOTING for name, _ in record.headers):
        record.headers = tuple((name, _opened_header(keyring, record, name, text)) for name, text in record.headers)


def is_shared(topic: str) -> bool:
    """Say whether a topic is of all workflows: others may have other keys, or none. Who needs a record there says what is missing."""
    return topic in (plans_topic(), provider_states_topic())


def bound(topic: str, key: bytes | None, part: str = "") -> bytes:
    """Return what a value is bound to: the prefix is left out, and so the name of a topic while it is copied (ADR 0025)."""
    return bound_to(topic.removeprefix(prefix_in_use()).removesuffix(MOVING), key, part)


def place_of(record: ConsumerRecord) -> str:
    """Say where a record stands."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def _open_value(keyring: Keyring, record: ConsumerRecord, value: bytes) -> None:
    headers = tuple(pair for pair in record.headers if pair[0] not in (SEALED_BY, UNSEALED))
    try:
        record.value = keyring.open(value, bound(record.topic, record.key), place_of(record))
        if is_sealed(record.value):  # a foreign frame in a frame of ours: a dead letter that was sent back
            headers += ((UNSEALED, b"altered"),)
    except Altered:
        headers += ((UNSEALED, b"altered"),)
    except (KeyMissing, KeyWrong) as error:
        if not is_shared(record.topic):
            raise
        headers += ((UNSEALED, str(error).encode()),)
    record.headers = headers


def _refuse(record: ConsumerRecord) -> None:
    if not record.topic.endswith(PUBLIC):
        raise NotEncrypted(
            f"{place_of(record)}: not encrypted, and the setting encryption.require is true. If it was written before that, set "
            "it to false until such records are gone; if not, find out who wrote it. Nothing was skipped"
        )
    record.headers = (*record.headers, (UNSEALED, b"plain"))


def _opened_header(keyring: Keyring, record: ConsumerRecord, name: str, text: bytes) -> bytes:
    frame = from_text(text) if name in QUOTING and text else None
    if frame is None:
        return text
    try:
        return keyring.open(frame, bound(record.topic, record.key, name), place_of(record))
    except Altered:
        return b"(altered: cannot be read)"
    except (KeyMissing, KeyWrong):
        if not is_shared(record.topic):
            raise
        return text
