"""The filters and functions of prompts: jinja's own where they cannot grow anything, bounded ones where they could."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.utils import Namespace

MAX_TURNS = 100_000
MAX_WORK = 20_000_000
MAX_DIGITS = 3
"""Of a width or a precision in a format."""

_AS_THEY_ARE = """
    abs count d default dictsort first float groupby int items last length list map max min
    reject rejectattr reverse select selectattr sort unique
"""
_OF_TEXT = "capitalize e escape lower string title trim truncate upper wordcount"
_DIRECTIVE = re.compile(r"%[^a-zA-Z%]*[a-zA-Z%]?")


class Spent(TemplateRuntimeError):
    """A render used up what it is given."""


class FuelContext(Context):
    """The variables of one render, and what it may still spend."""

    turns = 0
    work = 0

    def spend(self, amount: int) -> None:
        """Take `amount` characters or items of work, or raise `Spent`."""
        self.work += 1 + amount
        if self.work > MAX_WORK:
            raise Spent(f"makes more than {MAX_WORK} characters on the way")

    def turn(self) -> None:
        """Take one turn of a loop, or raise `Spent`."""
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise Spent(f"loops more than {MAX_TURNS} times")


def fuel(context: Context) -> FuelContext:
    """Return the context as what it is."""
    if not isinstance(context, FuelContext):
        raise TypeError("not a render of a prompt")
    return context


def text_of(context: Context, value: Any) -> str:
    """Return `str(value)`, having counted it first: a list that holds itself twice, forty times over, has no printable size."""
    tank = fuel(context)
    if isinstance(value, list | tuple | dict):
        _count_items(tank, value)
    text = str(value)
    tank.spend(len(text))
    return text


def _count_items(tank: FuelContext, value: Any) -> None:
    pending = [value]
    while pending:
        part = pending.pop()
        tank.spend(10)
        if isinstance(part, Undefined):
            str(part)  # StrictUndefined raises, and says what is undefined; inside a list it would print as "Undefined"
        elif isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, list | tuple):
            pending.extend(part)
        elif isinstance(part, str):
            tank.spend(len(part))


@pass_context
def finalize(context: Context, value: Any) -> str:
    """Count every value printed: macros and `set` blocks gather text that the renderer sees only at the end."""
    if callable(value) and not isinstance(value, Undefined):
        raise SecurityError("a function or method is printed: is a '()' missing, or is it meant as a field?")
    return text_of(context, value)


@pass_context
def turns(context: Context, iterable: Iterable[Any], body: int) -> Iterator[Any]:
    """Yield the items, each at the price of a turn and of the text in the loop's body."""
    tank = fuel(context)
    for item in iterable:
        tank.turn()
        tank.spend(body)
        yield item


@pass_context
def concat(context: Context, parts: Iterable[Any]) -> str:
    """Do what `~` does."""
    return "".join([text_of(context, part) for part in parts])


@pass_context
def to_json(context: Context, value: Any, indent: int | None = None) -> str:
    """Return plain JSON, not escaped for HTML, other scripts kept as they are."""
    if indent is not None and not 0 <= indent <= 8:
        raise SecurityError("tojson(indent) goes from 0 to 8")
    if isinstance(value, Iterator):
        value = list(value)
    _count_items(fuel(context), value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    fuel(context).spend(len(text))
    return text


def bounded_format(context: Context, pattern: str, values: Any) -> str:
    """Return `pattern % values`, refusing widths and precisions that a few characters turn into megabytes."""
    directives = _DIRECTIVE.findall(pattern)
    for directive in directives:
        if "*" in directive or re.search(rf"\d{{{MAX_DIGITS + 1},}}", directive):
            raise SecurityError(f"format {directive[:40]!r} is too wide")
    parts: Iterable[Any] = values.values() if isinstance(values, Mapping) else values
    parts = parts if isinstance(values, tuple | Mapping) else (values,)
    longest = max((len(text_of(context, part)) for part in parts), default=0)
    fuel(context).spend(len(pattern) + len(directives) * longest)
    return str(pattern % values)


@pass_context
def _join(context: Context, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items = FILTERS["map"](context, value, attribute=attribute) if attribute is not None else value
    texts = [text_of(context, item) for item in items]
    fuel(context).spend(len(str(d)) * len(texts))
    return str(d).join(texts)


@pass_context
def _sum(context: Context, iterable: Iterable[Any], attribute: str | int | None = None, start: float = 0) -> float:
    items = FILTERS["map"](context, iterable, attribute=attribute) if attribute is not None else iterable
    total = start
    for item in items:
        if not isinstance(item, int | float) or not isinstance(total, int | float):
            raise TypeError("sum is for numbers")
        total += item
    return total


@pass_context
def _replace(context: Context, s: Any, old: Any, new: Any, count: int = -1) -> str:
    text, old, new = text_of(context, s), str(old), str(new)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    fuel(context).spend(times * len(new))
    return text.replace(old, new, count)


@pass_context
def _indent(context: Context, s: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = text_of(context, s)
    size = len(width) if isinstance(width, str) else width
    if size > 100:
        raise SecurityError("indent goes up to 100")
    fuel(context).spend(size * (text.count("\n") + 1))
    return str(FILTERS["indent"](text, width, first, blank))


@pass_context
def _format(context: Context, value: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError("format takes positional or keyword arguments, not both")
    return bounded_format(context, text_of(context, value), kwargs or args)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if not -15 <= precision <= 15:
        raise SecurityError("round goes up to 15 digits")
    return float(FILTERS["round"](value, precision, method))


def _of_text(name: str) -> Callable[..., Any]:
    original = FILTERS[name]
    takes_environment = name == "truncate"

    @pass_context
    def apply(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        first = (context.environment,) if takes_environment else ()
        result = original(*first, text_of(context, value), *args, **kwargs)
        return (
            result if isinstance(result, int) else str(result)
        )  # never Markup: it would escape what it is joined with

    return apply


@pass_context
def _range(context: Context, *args: int) -> range:
    numbers = range(*args)
    if len(numbers) > MAX_TURNS:
        raise OverflowError(f"a range has at most {MAX_TURNS} numbers")
    fuel(context).spend(len(numbers))
    return numbers


def _dict(**fields: Any) -> dict[str, Any]:
    return fields  # not the class: `dict.update(input, ...)` would change a node's output


PROMPT_GLOBALS: dict[str, Any] = {"range": _range, "dict": _dict, "namespace": Namespace}

PROMPT_FILTERS: dict[str, Callable[..., Any]] = (
    {name: FILTERS[name] for name in _AS_THEY_ARE.split()}
    | {name: _of_text(name) for name in _OF_TEXT.split()}
    | {
        "format": _format,
        "indent": _indent,
        "join": _join,
        "replace": _replace,
        "round": _round,
        "sum": _sum,
        "tojson": to_json,
    }
)
