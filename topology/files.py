"""Reading what a workflow is made of: the only place where topology touches the disk, and callers may replace it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

MAX_FILE = 1_048_576
"""1 MB: far more than a workflow, a prompt or a schema has."""

Read = Callable[[Path], bytes]


class UnreadableFile(ValueError):
    """A file cannot be used as text; `line` and `col` say where it stops being UTF-8, else 1."""

    def __init__(self, message: str, line: int = 1, col: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.col = col


def read_file(path: Path) -> bytes:
    """Return the content of a regular file, cut just past `MAX_FILE`: no more is read of one that is too large."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError("not a regular file")  # opening a FIFO would wait for ever
    with path.open("rb") as file:
        return file.read(MAX_FILE + 1)


def read_text(path: Path, read: Read = read_file) -> str:
    """Return the content as text, or raise `UnreadableFile`."""
    content = _content(path, read)
    if len(content) > MAX_FILE:
        raise UnreadableFile("the file is larger than 1 MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        col = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise UnreadableFile(f"not UTF-8: {error.reason}", line, col) from None


def check_file(path: Path, read: Read = read_file) -> None:
    """Raise `UnreadableFile` if there is no such file."""
    _content(path, read)


def _content(path: Path, read: Read) -> bytes:
    try:
        return read(path)
    except FileNotFoundError:
        raise UnreadableFile("no such file") from None
    except IsADirectoryError:
        raise UnreadableFile("this is a directory") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UnreadableFile(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
