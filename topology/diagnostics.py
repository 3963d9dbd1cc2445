"""What is wrong with a workflow, and where: every finding is `file:line:col: message`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True, slots=True)
class Diagnostic:
    """One finding; `line` and `col` are 1-based, and the order of the fields is the order of a sorted list."""

    file: str
    line: int
    col: int
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}: {self.message}"


class WorkflowErrors(ValueError):
    """A workflow cannot be used; `errors` says everything that is wrong with it.

    Operator action: correct the file at each position named; `penstock check FILE` lists them.
    """

    def __init__(self, errors: Iterable[Diagnostic]) -> None:
        self.errors = sorted(errors)
        super().__init__("\n".join(map(str, self.errors)))


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest of `known`, or nothing."""
    nearest = get_close_matches(wrong, sorted(known), n=1)
    return f", did you mean {nearest[0]!r}?" if nearest else ""
