"""Inputs as given on the command line: checked to be JSON before anything is started or published."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.cli.errors import BadUsage
from schemas.codec import loads


def inputs_of(text: str | None, file: str | None) -> list[str]:
    """Return the inputs of `--input` or `--input-file`, JSON texts; BadUsage says which one is none, and where."""
    if (text is None) == (file is None):
        raise BadUsage("give either --input JSON or --input-file FILE")
    if text is not None:
        return [_json(text, "--input")]
    return _lines(file or "")


def _lines(file: str) -> list[str]:
    # Only a line feed ends a line: JSON text may hold other characters that Python takes for line ends.
    found = [
        _json(line.strip(), f"{file}:{number}")
        for number, line in enumerate(_read(file).split("\n"), 1)
        if line.strip()
    ]
    if not found:
        raise BadUsage(f"{file}: no input in it")
    return found


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise BadUsage(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadUsage(f"{file}: not UTF-8 at byte {error.start}") from None


def _json(text: str, where: str) -> str:
    try:
        loads(text)
    except ValueError as error:
        raise BadUsage(f"{where}: not JSON: {error}") from None
    return text
