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

_COPIERS: dict[type, Callable[[Any], Any]] = {}
_NOT_GIVEN = object()


def quick(cls: C) -> C:
    """Make a `@dataclass(frozen=True, slots=True)` quick; to be put above it."""
    del cls.__setattr__, cls.__delattr__
    names = [field.name for field in fields(cls)]
    cls.__init__ = _init_of(cls)  # type: ignore[misc]
    copying = "".join(f"    new.{name} = old.{name}\n" for name in names)
    _COPIERS[cls] = _compiled(f"def copy(old):\n    new = make(cls)\n{copying}    return new\n", "copy", cls)
    return cls


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - handed on
else:

    def replace(value, /, **changes):
        """Return a copy of a dataclass with some fields changed, as `dataclasses.replace` does."""
        copy = _COPIERS.get(type(value))
        if copy is None:
            return dataclasses.replace(value, **changes)
        new = copy(value)
        for name, change in changes.items():
            setattr(new, name, change)
        return new


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
