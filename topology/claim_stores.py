"""Addresses of claim stores: which are well formed, and whether a URI is inside one. Pure: nothing is opened here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_SAFE = re.compile(r"[a-zA-Z0-9._~/@=+-]*\Z")


def problem_of(address: str) -> str | None:
    """Return what is wrong with the address of a store or an object, None if nothing is."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "it is no URL"
    if not address.startswith(("file://", "s3://")):
        return "it is neither file:///FOLDER nor s3://BUCKET/PREFIX"
    if parts.query or parts.fragment or "?" in address or "#" in address:
        return "it has a query or fragment"
    if not _SAFE.match(parts.path):
        return "its path has characters other than letters, digits and . _ ~ / @ = + -"
    if any(part in ("..", ".") for part in parts.path.split("/")) or "//" in parts.path:
        return "its path has `.`, `..` or an empty part"
    if parts.scheme == "file" and parts.netloc:
        return f"it names a host ({parts.netloc}): a file is file:///FOLDER, with three slashes"
    if parts.scheme == "file" and not parts.path.strip("/"):
        return "it names no folder"
    if parts.scheme == "s3" and not _BUCKET.match(parts.netloc):
        return f"{parts.netloc!r} is no bucket's name"
    return None


def canonical(address: str) -> str:
    """Return a store's address without a slash at its end."""
    return address.rstrip("/")


def is_inside(uri: str, stores: Iterable[str]) -> bool:
    """Say whether an object is in one of the stores: below it, part by part."""
    return problem_of(uri) is None and any(uri.startswith(canonical(store) + "/") for store in stores)


def refused(uri: str, stores: Iterable[str]) -> str | None:
    """Return why an object that somebody claims is not read, None if it is in one of the stores."""
    stores = tuple(stores)
    if is_inside(uri, stores):
        return None
    why = problem_of(uri) or f"the setting claim_check_stores has {', '.join(stores) or 'none'}"
    return f"{uri} is in no store that is allowed: {why}"


def is_allowed(store: str, stores: Iterable[str]) -> bool:
    """Say whether a store is one of those that are allowed, or a folder in one."""
    return problem_of(store) is None and any(
        canonical(store) == canonical(one) or is_inside(canonical(store), [one]) for one in stores
    )


def folder_of(store: str) -> PurePosixPath:
    """Return the folder of a `file:` store."""
    return PurePosixPath(urlsplit(canonical(store)).path)


def bucket_of(store: str) -> tuple[str, str]:
    """Return bucket and key prefix of an `s3:` store."""
    parts = urlsplit(canonical(store))
    return parts.netloc, parts.path.strip("/")
