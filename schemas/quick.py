"""Dataclasses that are quick to make and to change: frozen for the type checker, and plain slots at run time.

A frozen dataclass sets every field through `object.__setattr__`, and `dataclasses.replace` goes through all of them by name:
half of what a record's way cost. mypy still refuses an assignment; who looks for one at run time will not find it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=type)

_QUICK: dict[type, list[str]] = {}
"""The fields of each quick class."""
_COPIERS: dict[tuple[Any, ...], Callable[[Any, Any], Any]] = {}
"""What copies a class with certain fields changed: as many as there are places in the program that change some."""
_NOT_GIVEN = object()


def quick(cls: C) -> C:
    """Make a `@dataclass(frozen=True, slots=True)` quick; to be put above it."""
    del cls.__setattr__, cls.__delattr__
    _QUICK[cls] = [field.name for field in fields(cls)]
    cls.__init__ = _init_of(cls)  # type: ignore[misc]
    return cls


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - handed on
else:

    def replace(value, /, **changes):
        """Return a copy of a dataclass with some fields changed, as `dataclasses.replace` does."""
        kind = (type(value), *changes)
        copy = _COPIERS.get(kind)
        if copy is None:
            if kind[0] not in _QUICK:
                return dataclasses.replace(value, **changes)
            copy = _COPIERS[kind] = _copier_of(*kind)
        return copy(value, changes)


def _copier_of(cls: type, *changed: str) -> Callable[[Any, Any], Any]:
    unknown = sorted(set(changed).difference(_QUICK[cls]))
    if unknown:
        raise TypeError(f"{cls.__name__} has no field {', '.join(unknown)}")
    copying = (f"changes[{name!r}]" if name in changed else f"old.{name}" for name in _QUICK[cls])
    lines = "".join(f"    new.{name} = {value}\n" for name, value in zip(_QUICK[cls], copying, strict=True))
    return _compiled(f"def copy(old, changes):\n    new = make(cls)\n{lines}    return new\n", "copy", cls)


def _init_of(cls: type) -> Callable[..., None]:
    arguments, body = ["self"], []
    scope: dict[str, Any] = {"NOT_GIVEN": _NOT_GIVEN}
    for field in fields(cls):
        name, default = field.name, _default_of(field, scope)
        arguments.append(name if default is None else f"{name}={default}")
        made = field.default_factory is not MISSING
        body.append(
            f"self.{name} = make_{name}() if {name} is NOT_GIVEN else {name}" if made else f"self.{name} = {name}"
        )
    lines = "".join(f"    {line}\n" for line in body or ["pass"])
    return _compiled(f"def __init__({', '.join(arguments)}):\n{lines}", "__init__", cls, scope)


def _default_of(field: Field[Any], scope: dict[str, Any]) -> str | None:
    """Return the name that stands for a field's default, None if it has none."""
    if field.default is not MISSING:
        scope[f"default_{field.name}"] = field.default
        return f"default_{field.name}"
    if field.default_factory is not MISSING:
        scope[f"make_{field.name}"] = field.default_factory
        return "NOT_GIVEN"
    return None


def _compiled(source: str, name: str, cls: type, scope: dict[str, Any] | None = None) -> Callable[..., Any]:
    found: dict[str, Any] = {"cls": cls, "make": object.__new__, **(scope or {})}
    exec(compile(source, f"<{name} of {cls.__name__}>", "exec"), found)  # noqa: S102 - of field names alone
    made: Callable[..., Any] = found[name]
    made.__qualname__ = f"{cls.__name__}.{name}"
    return made
