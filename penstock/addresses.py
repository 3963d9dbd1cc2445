"""Addresses of HTTP services in settings."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_http(url: str) -> bool:
    """Say whether a client can make something of `url`; what it cannot would fail each call as if nobody answered."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:  # brackets, or a port that is none
        return False


def has_user(url: str) -> bool:
    """Say whether an address that `is_http` holds a user or a password."""
    return "@" in urlsplit(url).netloc
