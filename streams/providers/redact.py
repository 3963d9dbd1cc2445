"""Take secrets out of texts that leave the process, and cap their length."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

MESSAGE_CHARS = 2_000
TRACEBACK_CHARS = 4_000
RAW_CHARS = 16_000

_MASK = "[redacted]"
_SHORTEST = 8  # a shorter value ("dev", "test") would be cut out of ordinary words
_SECRET_NAME = re.compile(r"(_KEY|_TOKEN|_SECRET|PASSWORD\w*)\Z", re.IGNORECASE)
_PATTERNS = (
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=*-]{8,}"),
    re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_*-]{8,}"),
    re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),
)


def environment_secrets() -> set[str]:
    """Return the values of environment variables whose names say that they are secrets."""
    return {value for name, value in os.environ.items() if len(value) >= _SHORTEST and _SECRET_NAME.search(name)}


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask `secrets`, secrets of the environment and whatever looks like a key in `text`."""
    known = environment_secrets().union(secret for secret in secrets if len(secret) >= _SHORTEST)
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(_MASK, text)
    return text


def cap(text: str, limit: int) -> str:
    """Return `text`, or its first `limit` characters and a note of how many are gone."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more characters)"


def cap_start(text: str, limit: int) -> str:
    """Return `text`, or its last `limit` characters: the end of a traceback is what matters."""
    return text if len(text) <= limit else "..." + text[3 - limit :]


def safe_message(text: str, secrets: Iterable[str] = ()) -> str:
    """Redact and cap a message; redacted first, so that a cut cannot save half of a key."""
    return cap(redact(cap(text, 64_000), secrets), MESSAGE_CHARS)
