"""A page of the documentation as the tests see it: its code blocks, and what comments above them say.

`<!-- not run: REASON -->` above a block keeps it from being run; its commands are parsed all the same. `<!-- run first: COMMANDS -->`
holds commands that the page does not show. `<!-- own kafka -->` anywhere: the page starts a Kafka of its own. `<!-- fragment -->`
above a block of YAML or Python: it is part of something that is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
OPEN_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?")
SHELLS = ("console", "sh")


@dataclass(frozen=True)
class Command:
    """A command, the comment behind it, and what the page shows of its output."""

    text: str
    comment: str
    shown: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Block:
    """A code block: its language, the file it is said to be, and the comment above it."""

    language: str
    title: str | None
    text: str
    line: int
    comment: str

    @property
    def not_run(self) -> str | None:
        """Why its commands are not run, None if they are."""
        head, _, reason = self.comment.partition(":")
        return reason.strip() if head == "not run" else None

    @property
    def first(self) -> str:
        """What is run before it, unseen."""
        head, _, commands = self.comment.partition(":")
        return commands.strip() if head == "run first" else ""

    @property
    def is_fragment(self) -> bool:
        """Whether it cannot stand alone."""
        return self.comment == "fragment"

    def commands(self) -> Iterator[Command]:
        """Yield what a reader would type."""
        if self.language in SHELLS:
            yield from commands_of(self.text, self.line + 1, prompt=self.language == "console")


def pages() -> list[Path]:
    """Return every page that readers are shown, decisions aside."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("workflows/*/README.md"),
        *ROOT.glob("benchmarks/**/README.md"),
    ]
    return sorted(found)


def name_of(page: Path) -> str:
    """Return how a test calls a page."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    found, above = [], ""
    for token in tokens:
        if token.type == "html_block" and (comment := COMMENT.search(token.content)):
            above = comment[1]
        elif token.type == "fence":
            language, _, rest = token.info.partition(" ")
            title = TITLE.search(rest)
            line = (token.map or [0])[0] + 1
            found.append(Block(language, title and title[1], token.content, line, above))
            above = ""
        elif token.type.endswith("_open") or token.type == "hr":
            above = ""
    return found


def commands_of(text: str, line: int, *, prompt: bool) -> Iterator[Command]:
    """Yield the commands of a block: all its lines, or those behind a prompt `$` with what is shown as their output."""
    lines, at = text.splitlines(), 0
    while at < len(lines):
        first = at
        if not (start := _typed(lines[at], prompt=prompt)):
            at += 1
            continue
        typed, shown = [start], list[str]()
        heredoc = OPEN_HEREDOC.search(start)
        at += 1
        while at < len(lines) and (typed[-1].endswith("\\") or (heredoc and typed[-1].strip() != heredoc[1])):
            typed.append(lines[at])
            at += 1
        while prompt and at < len(lines) and not lines[at].startswith("$ "):
            shown.append(lines[at])
            at += 1
        command, _, comment = "\n".join(typed).partition(" # ")
        yield Command(command.rstrip(), comment.strip(), tuple(shown), line + first)


def _typed(line: str, *, prompt: bool) -> str:
    if not prompt:
        return "" if line.startswith("#") else line.strip()
    return line.removeprefix("$ ") if line.startswith("$ ") else ""
