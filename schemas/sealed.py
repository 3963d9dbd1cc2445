"""The frame of an encrypted value (docs/encryption.md): which key, the data key that it wraps, and the body. Pure: no key is seen here.

    0xFE 'P' 'S' 0x01 | length of the key id | key id | nonce (12) | wrapped data key (32 + 16) | nonce (12) | body (n + 16)

The first byte begins no UTF-8 text and no Avro of Confluent's, so a frame is told from any value of ours, with headers or without.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

MAGIC = b"\xfePS\x01"
NONCE = 12
TAG = 16
DATA_KEY = 32
MAX_KEY_ID = 64
_TEXT = base64.b64encode(MAGIC[:3])

SEALED_BY = "penstock.sealed_by"
"""The header that names the key of an encrypted value, for people and tools; readers go by the frame."""
UNSEALED = "penstock.unsealed"
"""Put on a record by a reader, never on the wire: why its value is not what the producer meant: `altered`, `plain` where that is refused, or which key is missing."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The parts of an encrypted value; `head` is what the wrapping of the data key is bound to."""

    key_id: str
    head: bytes
    wrapped: bytes
    body: bytes


def head_of(key_id: str) -> bytes:
    """Return how a frame begins."""
    name = key_id.encode()
    return MAGIC + bytes([len(name)]) + name


def is_sealed(value: bytes | None) -> bool:
    """Say whether a value is encrypted."""
    return value is not None and value.startswith(MAGIC)


def parse(value: bytes) -> Frame | None:
    """Return the parts of an encrypted value, None if it is none, or cut."""
    if not value.startswith(MAGIC) or len(value) < len(MAGIC) + 1:
        return None
    begin = len(MAGIC) + 1 + value[len(MAGIC)]
    body = begin + NONCE + DATA_KEY + TAG
    if len(value) < body + NONCE + TAG:
        return None
    key_id = value[len(MAGIC) + 1 : begin].decode(errors="replace")
    return Frame(key_id, value[:begin], value[begin:body], value[body:])


def key_id_of(value: bytes) -> str:
    """Return the id of the key that an encrypted value needs."""
    frame = parse(value)
    return "?" if frame is None else frame.key_id


def bound_to(topic: str, key: bytes | None, part: str = "") -> bytes:
    """Return what a value is bound to, so that it cannot stand elsewhere: its topic, its key, and the header it is in, if any."""
    return b"\0".join((topic.encode(), part.encode(), key or b""))


def as_text(frame: bytes) -> bytes:
    """Return a frame as a header's value, which is text."""
    return base64.b64encode(frame)


def from_text(text: bytes) -> bytes | None:
    """Return the frame in a header's value, None if there is none."""
    if not text.startswith(_TEXT):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
