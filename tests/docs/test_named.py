"""What a sentence of the documentation names, some page runs, or it is run here in short, or it stands in the list of what people run, with the reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.pages import Command, blocks, commands_of, pages
from tests.docs.shell import Shell
from tests.docs.test_parse import COMMAND_LINE, simple

SHORT = {
    "make soak": ("MINUTES=0.05 make soak", '"results": ...'),
    "python -m benchmarks.engine": ("python -m benchmarks.engine --short --runs 200", '"failed": 0, ...'),
    "python -m benchmarks.engine.decisions": (
        "python -m benchmarks.engine.decisions --rounds 1",
        '"cpu_ms_per_run": ...',
    ),
    "python -m benchmarks.patterns.floor": ("python -m benchmarks.patterns.floor --tasks 100", '"penstock":...'),
    "python -m benchmarks.telemetry": ("python -m benchmarks.telemetry --runs 50", '"ratio": {"off": 1.0, ...'),
    "python -m topology.spec": ("python -m topology.spec", '"$defs": {'),
}
"""Commands that sentences name; what is run for them, the same with less work, and what it must print."""
BY_HAND = {
    "make bench-engine": "two minutes of a machine that does nothing else; python -m benchmarks.engine is its program",
    "make bench-growth": "up to 100,000 runs; it installs matplotlib",
    "make bench-restore": "100,000 rows, on a machine that does nothing else",
    "make bench-table": "it installs matplotlib; tests/benchmarks_patterns runs its patterns on twenty tasks",
    "make chaos": "minutes; tests/chaos plays 70 seconds of the same, with every kind of event",
    "make docs": "it installs mkdocs; .ci/run runs it",
    "make drills": "minutes: 5,000 runs, and sessions that end; tests/chaos does each of these things",
    "make failures": "minutes, of a provider that is away and comes back",
    "make test-browser": "it installs Playwright; .ci/run runs it",
    "make test-containers": "it installs hadolint, and builds helm where there is Go; `make test` runs tests/deploy with what is there",
    "python -m benchmarks.console": "10,000 runs; tests/console asks the same questions",
    "python -m benchmarks.patterns": "it takes the records of make bench-table; tests/benchmarks_patterns reads such records",
}
"""What is run by hand, and why."""


def what(words: list[str]) -> str | None:
    """Return which command it is, without its arguments; None if it is none of ours."""
    program, rest = Path(words[0]).name, words[1:]
    if program == "penstock" and rest:
        return " ".join(["penstock", *_path(rest)])
    if program == "make":
        return next((f"make {word}" for word in rest if re.fullmatch(r"[a-z][a-z-]*", word)), None)
    if program == "python" and rest[:1] == ["-m"] and rest[1].startswith(("benchmarks", "topology")):
        return f"python -m {rest[1]}"
    return None


def _path(rest: list[str]) -> Iterator[str]:
    command = COMMAND_LINE
    for word in rest:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return
        yield word


def run_by_pages() -> set[str]:
    """Return the commands that `test_commands` runs."""
    found = set()
    for page in pages():
        for block in blocks(page):
            if block.not_run is None:
                for command in (*commands_of(block.first, 0, prompt=False), *block.commands()):
                    found |= {what(words) for words in simple(command.text)}
    return {command for command in found if command}


def named() -> set[str]:
    """Return the commands that stand in sentences; a group of them, such as `penstock review`, is its commands'."""
    found = set()
    for page in pages():
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8")):
            for inline in token.children or ():
                if inline.type == "code_inline" and re.match(r"(penstock|make|python) ", inline.content):
                    found.add(what(shlex.split(inline.content.replace("'", ""))))
    groups = {f"penstock {name}" for name, command in COMMAND_LINE.commands.items() if hasattr(command, "commands")}
    return {command for command in found if command} - groups


def test_what_sentences_name_is_run() -> None:
    assert named() - run_by_pages() == SHORT.keys() | BY_HAND.keys()


@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_in_short(own_kafka: Shell) -> None:
    for command, printed in SHORT.values():
        own_kafka.run(Command(command, "", (printed,), 0))
