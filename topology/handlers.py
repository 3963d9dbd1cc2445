"""Where a function node's handler is: `file.py`, `file.py:name` or `package.module:name`. Importing it is the engine's business."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

OUR_MODULES = frozenset({"penstock", "schemas", "streams", "topology"})
DEFAULT_NAME = "handle"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")


class HandlerError(ValueError):
    """A handler reference means nothing."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A reference taken apart: a file relative to the workflow file, or a module; and the function's name."""

    file: str | None
    module: str | None
    name: str


def parse_handler(reference: str) -> Handler:
    """Return the parts of `reference`, or raise `HandlerError`."""
    target, colon, name = reference.partition(":")
    name = name if colon else DEFAULT_NAME
    if not _NAME.match(name):
        raise HandlerError(f"handler {reference!r}: {name!r} is no function's name")
    if target.endswith(".py"):
        return Handler(_file(target), None, name)
    if not _MODULE.match(target) or not colon:
        raise HandlerError(f"handler {reference!r} must be file.py, file.py:name or package.module:name")
    if target.split(".")[0] in OUR_MODULES:
        raise HandlerError(
            f"handler {reference!r} would clash: {target.split('.')[0]!r} is a package of penstock's own"
        )
    return Handler(None, target, name)


def _file(target: str) -> str:
    path = PurePosixPath(target)
    if path.is_absolute() or "\\" in target:
        raise HandlerError(f"handler {target!r} must be relative to the workflow file, with '/' between folders")
    if path.stem in OUR_MODULES:
        raise HandlerError(
            f"handler {target!r} would clash: {path.stem!r} is a package of penstock's own, rename the file"
        )
    return target
