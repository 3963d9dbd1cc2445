"""Writing the page as the differences come: nothing is kept in memory, and the file appears under its name once it is whole."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import IO, Any

from schemas.codec import dumps

_NEVER_IN_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What could end or change a script element, as JSON writes it otherwise."""


def embedded(value: Any) -> str:
    """Return JSON text that an HTML parser finds nothing in, whatever a model has answered."""
    text = str(dumps(value))
    for char, written in _NEVER_IN_HTML.items():
        text = text.replace(char, written)
    return text


class Page:
    """A page at `file`: `add` lines, then `end` it. Until then it stands beside under another name."""

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        self._file = file
        self._part = file.with_name(f"{file.name}.part")
        self._out: IO[str] = self._part.open("w", encoding="utf-8", newline="\n")
        head, self._tail = _text("page.html").split("{{lines}}")
        script = _text("page.js")
        made = {
            "title": escape(f"Shadow of {about.get('workflow')}"),
            "style": _text("page.css"),
            "script": script,
            "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            "about": embedded(about),
        }
        self._fill = made
        self._out.write(_filled(head, made))
        self._lines = 0

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a diff line."""
        self._out.write((",\n" if self._lines else "\n") + embedded(line))
        self._lines += 1

    def end(self, summary: Mapping[str, Any]) -> None:
        """Write the rest, and let the file have its name."""
        self._out.write(_filled(self._tail, {**self._fill, "summary": embedded(summary)}))
        self._out.close()
        self._part.replace(self._file)

    def close(self) -> None:
        """Remove what was begun, if it was not ended."""
        self._out.close()
        self._part.unlink(missing_ok=True)


def _text(name: str) -> str:
    return (resources.files("penstock.report") / name).read_text("utf-8")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Return the template with its `{{names}}` filled in; what is filled in is not looked at again."""
    parts = template.split("{{")
    filled = [values[name] + rest for part in parts[1:] for name, rest in [part.split("}}", 1)]]
    return "".join([parts[0], *filled])
