"""What is not run, and what stands in the middle of a sentence, is parsed: commands, options and targets exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from penstock.cli.main import app
from tests.docs.pages import ROOT, blocks, name_of, pages

COMMAND_LINE: Any = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
ASSIGNMENT = re.compile(r"^\w+=")
OPTION = re.compile(r"^--[a-z][a-z-]*")


def simple(text: str) -> Iterator[list[str]]:
    """Yield the words of each simple command of a line of shell."""
    lexer = shlex.shlex(text.split("<<", maxsplit=1)[0], posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;()<>"):
            if words:
                yield words
            words = []
        elif words or not ASSIGNMENT.match(word):
            words.append(word)


def problem(words: list[str], *, whole: bool) -> str | None:
    """Return what is wrong with a command of ours; `whole` ones must have all their arguments."""
    program, rest = Path(words[0]).name, words[1:]
    if program == "penstock":
        return _penstock(rest, whole=whole)
    if program == "make":
        unknown = [word for word in rest if re.fullmatch(r"[a-z][a-z-]*", word) and word not in TARGETS]
        return f"make has no target {unknown[0]}" if unknown else None
    if program == "docker" and rest[:1] == ["compose"] and whole:
        return _compose(rest[1], rest[2:])
    if program == "helm" and rest[:2] == ["upgrade", "--install"]:
        return None if (ROOT / rest[3] / "Chart.yaml").exists() else f"no chart {rest[3]}"
    if program.startswith("python") and rest[:1] == ["-m"] and importlib.util.find_spec(rest[1].split(".")[0]):
        return None if importlib.util.find_spec(rest[1]) else f"no module {rest[1]}"
    return None


def _compose(command: str, rest: list[str]) -> str | None:
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    asked = rest[:1] if command in ("exec", "logs") else [word.partition("=")[0] for word in rest if "=" in word]
    unknown = [name for name in asked if name not in services]
    if unknown:
        return f"docker-compose.yml has no service {unknown[0]}"
    return problem(rest[1:], whole=True) if command == "exec" else None


def _penstock(rest: list[str], *, whole: bool) -> str | None:
    command = COMMAND_LINE
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        names = rest[0].split("|") if not whole else [rest[0]]
        missing = [name for name in names if name not in command.commands]
        if missing:
            return f"penstock has no command {missing[0]!r}"
        command, rest = command.commands[names[0]], rest[1:]
    known = {opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    handed_on = command.context_settings.get("ignore_unknown_options", False)
    unknown = [found[0] for word in rest if not handed_on and (found := OPTION.match(word)) and found[0] not in known]
    if unknown:
        return f"{command.name} has no option {unknown[0]}"
    if whole and not hasattr(command, "commands") and "--help" not in rest:
        try:
            command.make_context(command.name, list(rest))
        except Exception as error:
            return f"{command.name}: {getattr(error, 'message', error)}"
    return None


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_parses(page: Path) -> None:
    wrong = [
        f"{name_of(page)}:{command.line}: {found}"
        for block in blocks(page)
        for command in block.commands()
        for words in simple(command.text)
        if (found := problem(words, whole=True))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_in_a_sentence_exists(page: Path) -> None:
    inline = [
        t
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))
        for t in token.children or ()
    ]
    wrong = [
        f"{name_of(page)}: `{token.content}`: {found}"
        for token in inline
        if token.type == "code_inline" and re.match(r"(penstock|make) \w", token.content) and "\n" not in token.content
        if (found := problem(token.content.replace("'", "").replace("[", " ").replace("]", " ").split(), whole=False))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_not_run_says_why() -> None:
    silent = [f"{name_of(page)}:{block.line}" for page in pages() for block in blocks(page) if block.not_run == ""]
    assert not silent
