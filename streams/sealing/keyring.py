"""The keys of a process: AES-256-GCM under data keys, each wrapped by a named key (envelope encryption)."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from schemas.sealed import DATA_KEY, NONCE, Frame, head_of, key_id_of, parse
from streams.errors import KeyMissing, KeyWrong

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_USES = 1 << 20
"""Values under one data key. Random nonces are safe to 2^32; a new key costs nothing, so it comes long before."""
REMEMBERED = 4_096
"""Data keys that need not be unwrapped again."""


class Altered(ValueError):
    """A value whose key is right, and which is not what was sealed for this place: it was changed, cut, or moved here."""


class Keyring:
    """Named keys: `current` seals (None: nothing is), all of them open. `require`: what is not sealed is refused."""

    def __init__(
        self, current: str | None = None, keys: Mapping[str, bytes] | None = None, require: bool = False
    ) -> None:
        self.current = current
        self.require = require
        self._keys = {key_id: _aead(key) for key_id, key in (keys or {}).items()}
        self._opened: OrderedDict[bytes, AESGCM] = OrderedDict()
        self._lock = threading.Lock()
        self._uses = 0
        self._wrapped = b""
        if current is not None and current not in self._keys:
            raise KeyMissing(f"no key {current!r}: it is to seal, and there is none of that name")

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, keys={sorted(self._keys)})"

    @property
    def has_keys(self) -> bool:
        """Say whether anything can be read or written encrypted."""
        return bool(self._keys)

    def seal(self, value: bytes, bound: bytes) -> bytes:
        """Return `value` encrypted under the current key, bound to `bound`: it opens with the same alone."""
        if self.current is None:
            raise KeyMissing("no current key to encrypt with")
        head = head_of(self.current)
        data_key, wrapped = self._data_key(head)
        nonce = os.urandom(NONCE)
        return b"".join((head, wrapped, nonce, data_key.encrypt(nonce, value, head + bound)))

    def open(self, value: bytes, bound: bytes, where: str = "") -> bytes:
        """Return what was sealed.

        Raises:
            KeyMissing, KeyWrong: it cannot be read by this process; `where` says what.
            Altered: it can, and is not what was sealed for this place.
        """
        frame = parse(value)
        if frame is None:
            raise Altered("cut short")
        from cryptography.exceptions import InvalidTag

        try:
            return self._data_key_of(frame, where).decrypt(frame.body[:NONCE], frame.body[NONCE:], frame.head + bound)
        except InvalidTag:
            raise Altered("changed, or moved here from another topic or key") from None

    def missing(self, value: bytes, where: str) -> KeyMissing:
        """Return the error that says which key a value needs."""
        return key_missing(value, where, sorted(self._keys))

    def _data_key(self, head: bytes) -> tuple[AESGCM, bytes]:
        """Return this process' data key and its wrapping, a new one every now and then."""
        with self._lock:
            if self._uses % MAX_USES == 0:
                fresh, nonce = os.urandom(DATA_KEY), os.urandom(NONCE)
                self._sealing = _aead(fresh)
                self._wrapped = nonce + self._keys[self.current or ""].encrypt(nonce, fresh, head)
            self._uses += 1
            return self._sealing, self._wrapped

    def _data_key_of(self, frame: Frame, where: str) -> AESGCM:
        name = frame.head + frame.wrapped
        with self._lock:
            found = self._opened.get(name)
            if found is None:
                found = self._opened[name] = self._unwrap(frame, where)
                if len(self._opened) > REMEMBERED:
                    self._opened.popitem(last=False)
            return found

    def _unwrap(self, frame: Frame, where: str) -> AESGCM:
        from cryptography.exceptions import InvalidTag

        key = self._keys.get(frame.key_id)
        if key is None:
            raise key_missing(frame.head + frame.wrapped + frame.body, where, sorted(self._keys))
        try:
            return _aead(key.decrypt(frame.wrapped[:NONCE], frame.wrapped[NONCE:], frame.head))
        except InvalidTag:
            raise KeyWrong(
                f"{where}: encrypted with key {frame.key_id!r}, but the key of that name here is another one: correct "
                f"encryption.keys.{frame.key_id} in the settings. Nothing was skipped"
            ) from None


def key_missing(value: bytes, where: str, known: list[str]) -> KeyMissing:
    """Return the error of a process that lacks the key of a value."""
    key_id = key_id_of(value)
    has = f"it has {', '.join(known)}" if known else "it has none"
    return KeyMissing(
        f"{where}: encrypted with key {key_id!r}, which this process does not have ({has}): add encryption.keys.{key_id} "
        "to the settings. Nothing was skipped"
    )


def _aead(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
