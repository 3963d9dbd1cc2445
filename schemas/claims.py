"""Claims: references to values that are in a claim store, and how they stand where a value would (docs/large-payloads.md).

In a public record it is the object `{"$claim": {uri, size, sha256, media_type}}`, and the header `penstock.claim` says that it is one. In
records and rows of ours there is a blank before it, wherever it stands: no output is ever written so, and no input is taken so, hence
nobody's own JSON can pass for a claim. (Outside of strings alone can `{"$claim":` stand in JSON: a quote within one is written `\\"`.)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from schemas.records import Json

MEMBER = "$claim"
PREFIX = ' {"$claim":'
_BARE = PREFIX[1:]
JSON_TYPE = "application/json"
_FIELDS = {"uri": str, "size": int, "sha256": str, "media_type": str}
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
MAX_URI = 2_000


class Claim(dict[str, Any]):
    """A claim among values: shown as the object it is, told by its class."""

    @property
    def uri(self) -> str:
        """Where the value is."""
        return str(self[MEMBER]["uri"])

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return int(self[MEMBER]["size"])

    @property
    def sha256(self) -> str:
        """The SHA-256 over them, in hex digits."""
        return str(self[MEMBER]["sha256"])

    @property
    def media_type(self) -> str:
        """What they are."""
        return str(self[MEMBER]["media_type"])

    @property
    def edits(self) -> Sequence[Any]:
        """Merge patches that redrives put over the value."""
        return list(self[MEMBER].get("edits", ()))

    def edited(self, patch: Any) -> Claim:
        """Return it with one more patch."""
        return Claim({MEMBER: {**self[MEMBER], "edits": [*self.edits, patch]}})


class Holding(dict[str, Any]):
    """An object with claims somewhere in it: the outputs of items, what a review hands on."""


def claim_of(uri: str, size: int, sha256: str, media_type: str = JSON_TYPE) -> Claim:
    """Return a claim."""
    return Claim({MEMBER: {"uri": uri, "size": size, "sha256": sha256, "media_type": media_type}})


def text_of(claim: Mapping[str, Any]) -> Json:
    """Return the text of a claim in records of ours."""
    return Json(" " + orjson.dumps(dict(claim)).decode())


def is_claim(text: str | None) -> bool:
    """Say whether a text of ours is a claim."""
    return text is not None and text.startswith(PREFIX)


def value_of(text: str) -> Any:
    """Return the value of a text of ours, a `Claim` where it is one, a `Holding` where some are in it."""
    if PREFIX not in text:
        return orjson.loads(text)
    if text.startswith(PREFIX):
        return Claim(orjson.loads(text))
    name = (
        f"{MEMBER} {hashlib.sha256(text.encode()).hexdigest()}"  # no text can hold its own hash, however it is escaped
    )
    found = _with_claims(orjson.loads(text.replace(PREFIX, f' {{"{name}":')), name)
    return Holding(found) if isinstance(found, dict) else found


def _with_claims(value: Any, name: str) -> Any:
    """Return a value with its claims: the objects whose member is called `name` by now."""
    if isinstance(value, list):
        return [_with_claims(inner, name) for inner in value]
    if not isinstance(value, dict):
        return value
    if name in value:
        return Claim({MEMBER: value[name]})
    return {key: _with_claims(inner, name) for key, inner in value.items()}


def by_form(value: Any) -> Any:
    """Return a public value with all that has the form of a claim as one: in Avro, and where others wrote it, there are no blanks."""
    if isinstance(value, list):
        return [by_form(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if MEMBER in value and malformed(value) is None:
        return Claim(value)
    return Holding({name: by_form(inner) for name, inner in value.items()})


def written(value: Any) -> Json:
    """Return the text of ours for a value: its claims are claims in it."""
    if isinstance(value, Claim):
        return text_of(value)
    return Json(orjson.dumps(value, _marked, orjson.OPT_PASSTHROUGH_SUBCLASS).decode())


def _marked(value: Any) -> Any:
    if isinstance(value, Claim):
        return orjson.Fragment(text_of(value))
    if isinstance(value, dict):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def a_claim_in(value: Any) -> Claim | None:
    """Return the first claim in a value that was read from a text of ours, None if it has none."""
    return next(_claims_in(value), None) if isinstance(value, Claim | Holding) else None


def _claims_in(value: Any) -> Iterator[Claim]:
    if isinstance(value, Claim):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _claims_in(inner)


def malformed(value: Any) -> str | None:
    """Return what is wrong with a claim in a public record, None if nothing is."""
    told = value.get(MEMBER) if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(told, dict):
        return f'it is not {{"{MEMBER}": {{...}}}}'
    for name, kind in _FIELDS.items():
        if not isinstance(told.get(name), kind) or isinstance(told[name], bool):
            return f"{name!r} is missing, or no {'text' if kind is str else 'number'}"
    if unknown := sorted(told.keys() - _FIELDS):
        return f"{unknown[0]!r} is no part of it"
    if told["size"] < 0 or not _SHA256.match(told["sha256"]):
        return "size is below 0, or sha256 is not 64 hex digits in lower case"
    if len(told["uri"]) > MAX_URI:
        return f"uri has more than {MAX_URI} characters"
    if told["media_type"] != JSON_TYPE and not told["media_type"].startswith("text/"):
        return f"media_type {told['media_type']!r} is neither {JSON_TYPE} nor text"
    return None


def input_text(value: bytes, is_claimed: bool) -> str:
    """Return the text of ours for the value of an input record: a claim in the one way it is written, look-alikes without a blank."""
    text = value.decode()
    if is_claimed:
        found = orjson.loads(text)
        if not malformed(found):
            return text_of(found)
    if PREFIX not in text:
        return text
    *before, last = text.split(_BARE)
    return _BARE.join([*(part.rstrip(" ") for part in before), last])


def public_value(text: str) -> bytes:
    """Return the value of a public record for a text of ours."""
    return text.lstrip().encode() if is_claim(text) else text.encode()
