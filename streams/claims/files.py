"""Objects as files of a folder: written under a temporary name and renamed; nothing outside of the folder is read, by whatever link."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from streams.claims.problems import Missing, Unreachable
from topology.claim_stores import folder_of


class FileStore:
    """A `file:` store."""

    def __init__(self, address: str) -> None:
        self._folder = Path(folder_of(address))

    def put(self, name: str, content: bytes) -> None:
        """Write an object; one of that name is replaced, whole."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", suffix=".tmp", delete=False) as file:
                try:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(file.name, self._folder / name)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise Unreachable(f"{self._folder}: {error.strerror or error}") from None

    def get(self, name: str, most: int) -> bytes:
        """Return an object, at most one byte more than `most`: enough to see that it is too long."""
        try:
            path = (self._folder / name).resolve(strict=True)
            if not path.is_relative_to(self._folder.resolve(strict=True)) or not path.is_file():
                raise Missing(f"{name}: leads out of the store, or is no file")
            with path.open("rb") as file:
                return file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"{self._folder / name}: no such file") from None
        except OSError as error:
            raise Unreachable(f"{self._folder / name}: {error.strerror or error}") from None
