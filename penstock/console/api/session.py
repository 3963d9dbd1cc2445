"""The token and the cookie that stands for it: who may ask, and whether a browser was made to."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

SESSION_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Access:
    """What lets in: `token` is a secret; `cookie` is the name of the page's cookie, one per port: browsers tell hosts apart, not ports."""

    token: str = field(repr=False)
    cookie: str = "penstock"
    public_read: bool = False

    def is_token(self, text: str) -> bool:
        """Say whether `text` is the token, in the same time whatever it is."""
        return hmac.compare_digest(text.encode(errors="replace"), self.token.encode())

    def session(self, now: float | None = None) -> str:
        """Return the value of a cookie that stands for the token until it expires; it does not hold the token."""
        expires = int((time.time() if now is None else now) + SESSION_S)
        return f"{expires}.{self._signed(expires)}"

    def is_session(self, text: str, now: float | None = None) -> bool:
        """Say whether `text` is the value of such a cookie, and has not expired."""
        expires, _, signature = text.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 15):
            return False
        right = hmac.compare_digest(signature.encode(errors="replace"), self._signed(int(expires)).encode())
        return right and int(expires) > (time.time() if now is None else now)

    def _signed(self, expires: int) -> str:
        return hmac.new(self.token.encode(), f"penstock session {expires}".encode(), sha256).hexdigest()

    def admits(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Say whether a request comes with the token or a session."""
        kind, _, text = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and text:
            return self.is_token(text.strip())
        return self.is_session(cookies.get(self.cookie, ""))


def is_foreign(headers: Mapping[str, str], cookie_only: bool) -> bool:
    """Say whether a changing request comes from a page of another origin; one with a cookie alone must show that it does not."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return not (site == "none" and not cookie_only)
    if origin is not None:
        return origin.lower() not in {f"{scheme}://{headers.get('host', '').lower()}" for scheme in ("http", "https")}
    return cookie_only and site is None
