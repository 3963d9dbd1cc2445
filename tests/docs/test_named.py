"""What a sentence of the documentation names, some page runs, or it is run here in short, or by `make test-docs`."""

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
LONG = {
    "make bench-engine": (
        "make bench-engine RUNS=500",
        (
            '"failed": 0, ... "failed": 0, ... "failed": 0, ... "failed": 0}, "long_call": ... "rebalances": 0}',
            '"ratio_to_floor": ...',
        ),
    ),
    "make bench-growth": (
        'make bench-growth SHORT=1 GROWTH="$OUT/growth" && test -s "$OUT/growth/growth.svg"',
        ('{"finished_runs": 200, ...', '{"nodes": 8, ...', '{"input_bytes": 1000, ...', '{"partitions": 4, ...'),
    ),
    "make bench-restore": ("make bench-restore ROWS=2000", ('{"rows": 2000, ...',)),
    "make bench-table": (
        'make bench-table TASKS=20 TABLE="$OUT/table" && test -s "$OUT/table/table.png"',
        tuple(
            f'"pattern":"{pattern}","level":1.0,"tasks":20,'
            for pattern in ("chain", "mesh", "penstock", "penstock-same")
        ),
    ),
    "make chaos": ("make chaos MINUTES=1", ('"ok":true,..."lost":0,..."violations":0,',)),
    "make docs": ("make docs && test -s site/index.html", ()),
    "make drills": (
        "make drills RUNS=1000",
        tuple(
            f'{{"drill": "{drill}", "runs": 1000, "results": 1000, ... "lost": 0, ... "audit": "0 violations"}}'
            for drill in ("kill", "broker", "zombie", "rolling")
        ),
    ),
    "make failures": (
        "make failures RUNS=100 OUTAGE=10",
        tuple(
            f'{{"scenario": "{scenario}", ... "runs": 100, "results": 100, "double": 0, ... "audit": "0 violations"}}'
            for scenario in ("outage", "budget", "malformed", "mixed")
        ),
    ),
    "make test-browser": ("make test-browser", (" passed",)),
    "make test-containers": ("make test-containers", (" passed",)),
    "python -m benchmarks.console": (
        "python -m benchmarks.console --runs 200 --repeat 2",
        ('{"runs": 200, ... "same_after_rebuild": true, ...',),
    ),
    "python -m benchmarks.patterns": (
        'make "${STAMP%/*}/.bench" && python -m benchmarks.patterns --tasks 20 --patterns chain --out "$OUT"'
        ' && python -m benchmarks.patterns --records "$OUT/tasks.jsonl" --out "$OUT/again"',
        ('"pattern":"chain","level":1.0,"tasks":20,',),
    ),
}
"""What takes minutes or installs something from the network: `make test-docs` runs it, in `long/`; what it must print."""


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
    assert named() - run_by_pages() == SHORT.keys() | LONG.keys()


@pytest.mark.kafka
def test_in_short(own_kafka: Shell) -> None:
    for command, printed in SHORT.values():
        own_kafka.run(Command(command, "", (printed,), 0))
