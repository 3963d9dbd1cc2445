"""YAML text -> plain values, each key and value with its line and column. Bounded in size, depth and alias expansion; it never raises.

Built from ruamel's event stream, which is lazy: a bomb is refused at the alias or bracket that goes too far, not after it was built.
Scalars follow YAML 1.2: `no` is a string, a date is a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

MAX_NODES = 20_000
MAX_DEPTH = 60

DocPath = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, both 1-based."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the text itself."""

    line: int
    col: int
    message: str


@dataclass(slots=True)
class Marks:
    """Where keys and values stand; a path without a place of its own (in an alias) has that of what holds it."""

    keys: dict[DocPath, Position] = field(default_factory=dict)
    values: dict[DocPath, Position] = field(default_factory=dict)

    def key(self, path: DocPath) -> Position:
        """Return where the last part of `path` stands as a key."""
        return self.keys.get(path) or self.value(path)

    def value(self, path: DocPath) -> Position:
        """Return where the value at `path` begins."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


@dataclass(frozen=True, slots=True)
class YamlTree:
    """The values of a text (None when it is broken) and where they stand."""

    data: Any
    marks: Marks
    problems: tuple[Problem, ...]


def parse_yaml(text: str) -> YamlTree:
    """Return the one document in `text`, or what is wrong with it."""
    composer = _Composer(text)
    try:
        data = composer.document()
    except _Stop as stop:
        composer.problems.append(Problem(*stop.position, str(stop)[:300]))
        data = None
    except MarkedYAMLError as error:
        composer.problems.append(_syntax_problem(error))
        data = None
    except (YAMLError, RecursionError, ValueError) as error:
        composer.problems.append(_unreadable(text, error))
        data = None
    return YamlTree(data, composer.marks, tuple(composer.problems))


class _Stop(Exception):
    """Reading on makes no sense."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    nodes: int


class _Composer:
    """Turns events into values; what an alias stands for counts each time it is used."""

    def __init__(self, text: str) -> None:
        self.marks = Marks()
        self.problems: list[Problem] = []
        self._events: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0

    def document(self) -> Any:
        """Return the value of the only document."""
        data = None
        documents = 0
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(_at(event), "a second document begins here: a file holds one")
            elif isinstance(event, events.NodeEvent):
                data = self._value(event, ())
        return data

    def _value(self, event: Any, path: DocPath) -> Any:
        position = _at(event)
        self.marks.values[path] = position
        if isinstance(event, events.AliasEvent):
            anchored = self._anchors.get(event.anchor)
            if anchored is None:
                raise _Stop(position, f"alias *{event.anchor} stands for nothing before it, or for itself")
            self._count(anchored.nodes, position)
            return anchored.value
        if len(path) > MAX_DEPTH:
            raise _Stop(position, f"nested more than {MAX_DEPTH} deep")
        before = self._nodes
        self._count(1, position)
        value = self._node(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, self._nodes - before)
        return value

    def _node(self, event: Any, path: DocPath) -> Any:
        tag = str(event.tag) if event.tag is not None else None
        if tag not in (None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._problem(event, f"the tag {tag} has no meaning here")
        if isinstance(event, events.ScalarEvent):
            plain = event.implicit[0] and event.style in (None, "")
            return self._plain(event) if plain else event.value
        return self._mapping(path) if isinstance(event, events.MappingStartEvent) else self._sequence(path)

    def _plain(self, event: Any) -> Any:
        try:
            return _scalar(event.value)
        except ValueError:
            self._problem(event, "this number has too many digits")
            return None

    def _sequence(self, path: DocPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), events.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: DocPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        merged: list[tuple[Any, Position]] = []
        while not isinstance(key_event := next(self._events), events.MappingEndEvent):
            position = _at(key_event)
            key = self._key(key_event, path)
            at = (*path, key)
            if key == "<<" and key_event.style in (None, ""):
                merged.append((self._value(next(self._events), at), position))
            elif key in mapping:
                self._problem(key_event, f"duplicate key {key!r} (first on line {self.marks.keys[at][0]})")
                self._value(next(self._events), (*path, f"{key} (again)"))
            else:
                self.marks.keys[at] = position
                mapping[key] = self._value(next(self._events), at)
                if mapping[key] is None:  # nothing is written there, so its place would be where the next thing begins
                    self.marks.values[at] = position
        for value, position in merged:
            self._merge(mapping, value, position, path)
        return mapping

    def _key(self, event: Any, path: DocPath) -> str:
        if isinstance(event, events.ScalarEvent):
            plain = event.implicit[0] and event.style in (None, "")
            if plain and not isinstance(_scalar(event.value[:100]), str):
                self._problem(event, f"a key must be a string: write {event.value!r} in quotes")
            return str(event.value)
        self._problem(event, "a key must be a string")
        return str(self._value(event, (*path, "(key)")))

    def _merge(self, mapping: dict[str, Any], value: Any, position: Position, path: DocPath) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                self.problems.append(Problem(*position, "'<<' takes a mapping or a list of mappings"))
                continue
            for key, merged in source.items():
                if key not in mapping:
                    mapping[key] = merged
                    self.marks.keys[(*path, key)] = self.marks.values[(*path, key)] = position
                    self._count(1, position)

    def _count(self, nodes: int, position: Position) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _Stop(position, f"more than {MAX_NODES} values (aliases count as what they stand for)")

    def _problem(self, event: Any, message: str) -> None:
        self.problems.append(Problem(*_at(event), message[:300]))


_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")


def _scalar(text: str) -> Any:
    """Return what a plain scalar means in YAML 1.2's core schema."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        return int(text)
    if _BASED.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    if _SPECIAL.match(text):
        return float(text.lower().replace(".", ""))
    return text


def _at(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax_problem(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    parts = [part for part in (error.problem, error.context) if part]
    message = ", ".join(" ".join(str(part).split()) for part in parts) or "syntax error"
    return Problem(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, f"YAML: {message}"[:400])


_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _unreadable(text: str, error: Exception) -> Problem:
    found = _UNPRINTABLE.search(text)
    if not found:
        return Problem(1, 1, f"YAML: {' '.join(str(error).split())[:300] or type(error).__name__}")
    before = text[: found.start()]
    line, col = before.count("\n") + 1, found.start() - before.rfind("\n")
    return Problem(line, col, f"the character {found[0]!r} is not allowed in YAML")
