"""From findings to diagnostics: a path in the document, or a position within an expression, becomes file, line and column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from topology.diagnostics import Diagnostic, Severity
from topology.parse import Finding
from topology.yaml_tree import DocPath, Marks


@dataclass(frozen=True, slots=True)
class Place:
    """The workflow file: its name as the user gave it, its text, and where things stand in it."""

    path: Path
    text: str
    marks: Marks

    def diagnostic(self, finding: Finding, severity: Severity = "error") -> Diagnostic:
        """Return the finding with its position."""
        at = self.marks.key(finding.path) if finding.at == "key" else self.marks.value(finding.path)
        return Diagnostic(str(self.path), *at, finding.message, severity)

    def within(self, path: DocPath, source: str, line: int, col: int, message: str) -> Diagnostic:
        """Return a diagnostic at (line, col) of the string `source` at `path`, or at its beginning where it is not written plainly."""
        start_line, start_col = self.marks.value(path)
        lines = self.text.splitlines()
        wanted = source.split("\n")[line - 1] if line <= source.count("\n") + 1 else ""
        for number in range(start_line, min(start_line + source.count("\n") + 2, len(lines) + 1)):
            begin = start_col - 1 if number == start_line else 0
            found = lines[number - 1].find(wanted, begin) if wanted.strip() else -1
            if found >= 0 and number - start_line >= line - 1:
                return Diagnostic(str(self.path), number, found + col, message)
        return Diagnostic(str(self.path), start_line, start_col, message)

    def file(self, relative: str) -> Path:
        """Return where a file named in the workflow is."""
        return self.path.parent / relative
