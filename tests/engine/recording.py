"""Parts of the engine that write down what they were asked, in one list, so that order is equality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.records import Row
from streams.engine.log import Outgoing
from streams.engine.processor import Address


class Refused(Exception):
    """The broker refused."""


class Recorder:
    """A log, changelogs, an executor and seams in one; `refuse` names the call that fails."""

    def __init__(self, refuse: str | None = None) -> None:
        self.calls: list[object] = []
        self.refuse = refuse

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Take records."""
        self._call("append", tuple(records))
        return range(len(records))

    async def write(self, rows: Mapping[Address, Row | None]) -> None:
        """Take rows."""
        self._call("write", dict(rows))

    def launch(self, launches: Mapping[Address, str]) -> None:
        """Take launches."""
        self._call("launch", dict(launches))

    def abort(self, aborts: Sequence[tuple[str, str]]) -> None:
        """Take aborts."""
        self._call("abort", list(aborts))

    def seam(self, name: str) -> None:
        """Pass a seam."""
        self._call("seam", name)

    def _call(self, name: str, what: object) -> None:
        if name == self.refuse:
            raise Refused(name)
        self.calls.append((name, what))
