"""The jinja environment of prompts: data in, text out, with bounds on memory and work. What could escape or explode is not there.

Jinja's own sandbox stops escapes but not explosions: `'a' * 10**9` or a doubling loop. Here operators, methods and filters are a list of
what is allowed, and every render has fuel: each loop turn, call and piece of text made costs some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError, TemplateAssertionError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from topology.template_filters import (
    PROMPT_FILTERS,
    PROMPT_GLOBALS,
    FuelContext,
    bounded_format,
    concat,
    finalize,
    turns,
)

MAX_CHARS = 1_000_000
"""No prompt is longer: a model's context is smaller."""
MAX_REPEAT = 10_000
MAX_BITS = 4_096

_STR_METHODS = """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric isspace istitle
    isupper lower lstrip partition removeprefix removesuffix rfind rpartition rsplit rstrip split splitlines startswith strip
    swapcase title upper
"""
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_STR_METHODS.split()),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index", "grouper", "list"}),  # the last two: what `groupby` makes
}
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Include: "'include' is not available: a prompt is one file",
    nodes.Import: "'import' is not available: a prompt is one file",
    nodes.FromImport: "'from' is not available: a prompt is one file",
    nodes.Extends: "'extends' is not available: a prompt is one file",
    nodes.Block: "'block' is not available: a prompt is one file",
    nodes.ScopedEvalContextModifier: "'autoescape' is not available: a prompt is text",
}


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox with bounded operators, listed methods and listed filters."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    context_class = FuelContext

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=finalize)
        self.globals = dict(PROMPT_GLOBALS)
        self.filters = {**PROMPT_FILTERS, "_turns": turns, "_concat": concat}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _refuse(tree)
        _meter_loops(tree)
        _replace_concats(tree)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field of an object, else an allowed method: JSON data may have fields called `items` or `count`."""
        return self._read(obj, attribute, super().getattr)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return `obj[argument]`, else an allowed method."""
        return self._read(obj, argument, super().getitem)

    def _read(self, obj: Any, key: Any, otherwise: Callable[[Any, Any], Any]) -> Any:
        if obj is None or isinstance(obj, bool | int | float):
            return self.undefined(obj=obj, name=key)
        kind = next((kind for kind in _METHODS if isinstance(obj, kind)), None)
        if kind is None:
            return otherwise(obj, key)
        try:
            return obj[key]
        except (TypeError, LookupError):
            if isinstance(key, str) and key in _METHODS[kind] and hasattr(obj, key):
                return getattr(obj, key)
        return self.undefined(obj=obj, name=key)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, an allowed method or a global; each call costs fuel, so recursion ends."""
        __context.spend(0)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator whose result could be far larger than its operands."""
        if operator == "+" and _sized(left) and _sized(right):
            context.spend(len(left) + len(right))
        elif operator == "*":
            _check_product(context, left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            return bounded_format(context, left, right)
        return super().call_binop(context, operator, left, right)


def _check_product(context: FuelContext, left: Any, right: Any) -> None:
    for sized, times in ((left, right), (right, left)):
        if _sized(sized) and isinstance(times, int):
            if len(sized) * times > MAX_REPEAT:
                raise SecurityError(f"repeats to more than {MAX_REPEAT} items or characters")
            context.spend(len(sized) * max(times, 0))
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise SecurityError("the product is too large")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_BITS:
        raise SecurityError("the power is too large")


def _sized(value: Any) -> bool:
    return isinstance(value, str | list | tuple)


def _refuse(tree: nodes.Template) -> None:
    for node in tree.find_all(tuple(_REFUSED)):
        raise TemplateAssertionError(_REFUSED[type(node)], node.lineno)
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            raise TemplateAssertionError("recursive loops are not available", loop.lineno)


def _meter_loops(tree: nodes.Template) -> None:
    """Route what every loop iterates over through a filter that counts: jinja compiles loops to code nobody can intercept."""
    for loop in list(tree.find_all(nodes.For)):
        body = sum(len(text.data) for part in loop.body for text in _text_in(part))
        loop.iter = nodes.Filter(loop.iter, "_turns", [nodes.Const(body)], [], None, None, lineno=loop.lineno)


def _text_in(part: nodes.Node) -> Iterator[nodes.TemplateData]:
    if isinstance(part, nodes.TemplateData):
        yield part
    yield from part.find_all(nodes.TemplateData)


def _replace_concats(node: nodes.Node) -> None:
    """Route `~` through a filter that counts, for the same reason."""
    for field, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, field, [_without_concat(item) for item in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _without_concat(value))


def _without_concat(item: Any) -> Any:
    if isinstance(item, nodes.Node):
        _replace_concats(item)
    if isinstance(item, nodes.Concat):
        parts = nodes.List(item.nodes, lineno=item.lineno)
        return nodes.Filter(parts, "_concat", [], [], None, None, lineno=item.lineno)
    return item


ENVIRONMENT = PromptEnvironment()
