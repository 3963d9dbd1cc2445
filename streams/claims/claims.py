"""Putting values into claim stores and getting them back: verified, and only from stores that are allowed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import orjson

from schemas.claims import JSON_TYPE, Claim, a_claim_in, claim_of
from schemas.ids import canonical_json
from schemas.sealed import MAGIC, MAX_KEY_ID, bound_to, is_sealed
from streams.claims.files import FileStore
from streams.claims.problems import Missing, Unreachable
from streams.claims.s3 import S3Store
from streams.core.merge_patch import merge_patch
from streams.errors import ClaimStoreError
from streams.sealing.keyring import Altered, Keyring
from topology.claim_stores import canonical, is_allowed, is_inside, problem_of

MAX_CLAIM_BYTES = 256 * 1024 * 1024
"""One value: whoever reads it holds it in memory."""
FRAME_BYTES = len(MAGIC) + 1 + MAX_KEY_ID + 200
"""What encryption may add to an object."""


class ClaimProblem(Exception):
    """A claimed value that cannot be had: `kind` and whether another attempt may help."""

    def __init__(self, kind: str, message: str, retryable: bool) -> None:
        super().__init__(message)
        self.kind, self.retryable = kind, retryable


class Store(Protocol):
    """Where objects are."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""

    def get(self, name: str, most: int) -> bytes:
        """Return an object, or one byte more than `most` of it."""


class Claims:
    """The claim stores of a process; with a current key in `keyring` what is put there is encrypted."""

    def __init__(self, stores: Sequence[str] = (), keyring: Keyring | None = None) -> None:
        self.stores = tuple(canonical(store) for store in stores)
        self._keyring = keyring

    def check(self, store: str, where: str) -> None:
        """Raise `ClaimStoreError` unless values may be put into `store`."""
        if not is_allowed(store, self.stores):
            allowed = ", ".join(self.stores) or "none"
            raise ClaimStoreError(
                f"{where}: claim_check.store {store!r} is not allowed: {problem_of(store) or 'the setting'} "
                f"claim_check_stores has {allowed}. Add it there (PENSTOCK_CLAIM_CHECK_STORES), or name another store"
            )
        _opened(store)

    async def put(self, store: str, value: Any) -> Claim:
        """Put a JSON value into a store; raise `ClaimProblem` if it does not take it."""
        return await asyncio.to_thread(self._put, store, canonical_json(value))

    async def get(self, claim: Claim) -> Any:
        """Return a claimed value, read and verified; raise `ClaimProblem` if it cannot be had."""
        return await asyncio.to_thread(self._get, claim)

    async def whole(self, value: Any) -> Any:
        """Return a value with all that is claimed in its place, read and verified; raise `ClaimProblem` if it cannot be had."""
        if isinstance(value, Claim):
            return await self.get(value)
        return await self._within(value) if a_claim_in(value) else value

    async def _within(self, value: Any) -> Any:
        if isinstance(value, Claim):
            return await self.get(value)
        if isinstance(value, list):
            return await asyncio.gather(*(self._within(inner) for inner in value))
        if isinstance(value, dict):
            return {name: await self._within(inner) for name, inner in value.items()}
        return value

    def _put(self, store: str, content: bytes) -> Claim:
        if len(content) > MAX_CLAIM_BYTES:
            raise ClaimProblem("too_large", f"{len(content)} bytes, {MAX_CLAIM_BYTES} are allowed", retryable=False)
        digest, kept = hashlib.sha256(content).hexdigest(), content
        name = digest
        if self._keyring is not None and self._keyring.current is not None:
            kept = self._keyring.seal(content, _bound(digest))
            name = hashlib.sha256(kept).hexdigest()
        try:
            _opened(store).put(name, kept)
        except Unreachable as error:
            raise ClaimProblem("claim_store", f"{store}: {error}", retryable=True) from None
        return claim_of(f"{canonical(store)}/{name}", len(content), digest)

    def _get(self, claim: Claim) -> Any:
        store = next((one for one in self.stores if is_inside(claim.uri, [one])), None)
        if store is None:
            allowed = ", ".join(self.stores) or "none"
            message = f"{claim.uri}: in no store of the setting claim_check_stores ({allowed})"
            raise ClaimProblem("claim_refused", message, retryable=False)
        if claim.size > MAX_CLAIM_BYTES:
            raise ClaimProblem("too_large", f"{claim.uri}: {claim.size} bytes are too many", retryable=False)
        value = _value(claim, self._verified(claim, store))
        for patch in claim.edits:
            value = merge_patch(value, patch)
        return value

    def _verified(self, claim: Claim, store: str) -> bytes:
        try:
            content = _opened(store).get(claim.uri.removeprefix(store + "/"), claim.size + FRAME_BYTES)
        except Missing as error:
            raise ClaimProblem("claim_missing", f"{claim.uri}: {error}", retryable=True) from None
        except Unreachable as error:
            raise ClaimProblem("claim_store", f"{claim.uri}: {error}", retryable=True) from None
        if is_sealed(content):
            content = self._unsealed(claim, content)
        if len(content) != claim.size or hashlib.sha256(content).hexdigest() != claim.sha256:
            raise _altered(claim, f"its size or SHA-256 is not what was written ({claim.size} bytes, {claim.sha256})")
        return content

    def _unsealed(self, claim: Claim, content: bytes) -> bytes:
        keyring = self._keyring or Keyring()
        try:
            return keyring.open(content, _bound(claim.sha256), claim.uri)
        except Altered as why:
            raise _altered(claim, f"encrypted, and {why}") from None


def _altered(claim: Claim, why: str) -> ClaimProblem:
    return ClaimProblem("claim_altered", f"{claim.uri}: {why}: put the right object there and redrive", retryable=False)


def _bound(digest: str) -> bytes:
    return bound_to("claim", digest.encode())


def _value(claim: Claim, content: bytes) -> Any:
    try:
        return orjson.loads(content) if claim.media_type == JSON_TYPE else content.decode()
    except ValueError as error:
        message = f"{claim.uri}: not {claim.media_type}: {error}"
        raise ClaimProblem("claim_media_type", message, retryable=False) from None


@lru_cache(64)
def _opened(store: str) -> Store:
    return FileStore(store) if store.startswith("file:") else S3Store(store)
