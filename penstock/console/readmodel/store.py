"""The SQLite file of the read model: opening it, making it anew when it is of another version, and forgetting a workflow."""

from __future__ import annotations

import fcntl
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from penstock.console.readmodel.sources import SHARED
from streams.errors import PenstockError

SCHEMA = (resources.files("penstock.console.readmodel") / "schema.sql").read_text()
SCHEMA_VERSION = int.from_bytes(hashlib.sha256(SCHEMA.encode()).digest()[:3])
"""Told by the schema itself: a file of another one is made anew."""
BUSY_MS = 10_000
GENERATION_BITS = 17
"""A read model is told from the one before it by the second of its making, of a day and a half."""
_TABLES = ("places", "runs", "nodes", "rows", "edges", "results", "letters", "replays", "events")


class ConsoleInUse(PenstockError):
    """Another console has the read model of this home open.

    Operator action: use that one, or give this one a home of its own with PENSTOCK_HOME.
    """


class Store:
    """The read model's file. One writer at a time, any number of readers beside it.

    With `in_memory` nothing of it is on a disk, what was there is deleted: where records are encrypted, their fold must not lie about.
    """

    def __init__(self, path: Path, in_memory: bool = False) -> None:
        self.path = path
        self._lock = _locked(path.with_suffix(".lock"))
        self._at = f"file:/penstock-{secrets.token_hex(8)}?vfs=memdb" if in_memory else str(path)
        if in_memory:
            _delete(path)
        self.writer = _made(_connect(self._at)) if in_memory else _opened(path)
        self.generation = int(self.writer.execute("select value from meta where name = 'generation'").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state of the model and cannot change it."""
        with closing(_connect(self._at)) as connection:
            connection.execute("pragma query_only = on")
            connection.execute("begin")
            yield connection

    def forget(self, workflow: str) -> None:
        """Drop everything of a workflow's topics: they are gone, or are others of the same name."""
        with self.writer as db:
            db.execute("delete from texts where rowid in (select id from journal where workflow = ?)", (workflow,))
            for table in ("journal", *_TABLES):
                db.execute(f"delete from {table} where workflow = ?", (workflow,))  # noqa: S608 - our own names
            db.execute("delete from workflows where id = ?", (workflow,))
            if workflow == SHARED:
                db.execute("delete from plans")

    def close(self) -> None:
        """Close the writer and let another console have the file."""
        self.writer.close()
        self._lock.close()


def _locked(path: Path):  # type: ignore[no-untyped-def]
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConsoleInUse(
            f"another console has the read model of {str(path.parent)!r} open: use that one, or set PENSTOCK_HOME"
        ) from None
    return file


def _opened(path: Path) -> sqlite3.Connection:
    """Open the file; one of another version, or none at all, is made anew: it is a fold, nothing is lost."""
    if path.exists() and not _is_current(path):
        _delete(path)
    return _made(_connect(path))


def _delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def _made(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return the connection, with the model's tables there."""
    if connection.execute("pragma user_version").fetchone()[0] != SCHEMA_VERSION:
        connection.execute("pragma journal_mode = wal")
        made = f"insert into meta values ('generation', {int(time.time()) % (1 << GENERATION_BITS)})"  # noqa: S608 - a number
        connection.executescript(f"begin;{SCHEMA};{made};pragma user_version = {SCHEMA_VERSION};commit;")
    return connection


def _is_current(path: Path) -> bool:
    try:
        with closing(_connect(path)) as connection:
            return bool(connection.execute("pragma user_version").fetchone()[0] == SCHEMA_VERSION)
    except sqlite3.DatabaseError:
        return False


def _connect(at: Path | str) -> sqlite3.Connection:
    in_memory = str(at).startswith("file:")
    connection = sqlite3.connect(at, timeout=BUSY_MS / 1000, check_same_thread=False, uri=in_memory)
    if in_memory:
        connection.execute("pragma temp_store = memory")
    connection.row_factory = sqlite3.Row
    connection.execute("pragma synchronous = normal")  # a crash may take the last batches: they are folded again
    return connection
