"""Fetch sessions (KIP-227): the broker remembers which partitions a consumer reads and from where, and is told what changed.

aiokafka names every partition in each fetch and is answered about each: what that takes grows with nodes times partitions (ADR 34).
The rules are those of the Java client's `FetchSessionHandler`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch
from aiokafka.protocol.fetch import FetchRequest

Place = tuple[str, int]
"""Topic and partition."""
Position = tuple[int, int]
"""The offset to read from, and how many bytes at most."""
Topics = Sequence[tuple[str, Sequence[tuple[int, int, int]]]]
"""Topics with their partitions: number, offset, bytes."""

FIRST_VERSION = 7
"""Of the fetch request: older ones know no sessions."""
LAST_EPOCH = 2**31 - 1
LOST = (FetchSessionIdNotFound.errno, InvalidFetchSessionEpoch.errno)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a fetch is sent: in a session's epoch 0 everything, later what is new or reads from elsewhere, and what is not read any more."""

    session: int
    epoch: int
    topics: Topics
    forgotten: Sequence[tuple[str, Sequence[int]]] = ()


class FetchSession:
    """One consumer's session at one broker. A fetch is asked, then answered or lost, before the next."""

    def __init__(self) -> None:
        self._id = 0
        self._epoch = 0
        self._known: dict[Place, Position] = {}

    def ask(self, topics: Topics) -> Asked:
        """Return what is to be sent to fetch from `topics`."""
        wanted = {(topic, part): (offset, most) for topic, parts in topics for part, offset, most in parts}
        known, self._known = self._known, wanted
        if self._epoch == 0:
            return Asked(self._id, 0, topics)
        changed = ((place, position) for place, position in wanted.items() if known.get(place) != position)
        gone = [place for place in known if place not in wanted]
        by_topic = _by_topic((topic, (part, *position)) for (topic, part), position in changed)
        return Asked(self._id, self._epoch, by_topic, _by_topic(gone) if gone else ())

    def answered(self, error: int, session: int) -> bool:
        """Take note of an answer; False if the broker has no such session: the same fetch is to be asked again, as a whole."""
        if error in LOST:
            self._epoch = 0
            if error == FetchSessionIdNotFound.errno:
                self._id = 0
            return False
        if error or session == 0:  # the broker's memory is full, or it has ended the session
            self._id = self._epoch = 0
        else:
            self._id, self._epoch = session, 1 if self._epoch == LAST_EPOCH else self._epoch + 1
        return True

    def lost(self) -> None:
        """Take note that a fetch was not answered: whether the broker saw it is not known, so the next begins a new session in the place of this."""
        self._epoch = 0


class SessionFetch(FetchRequest):  # type: ignore[misc]
    """A fetch within a session."""

    def __init__(self, request: FetchRequest, asked: Asked) -> None:
        self.__dict__.update(request.__dict__)
        self._whole, self._asked, self._topics = request, asked, asked.topics

    def build(self, version: Any) -> Any:
        """Return the request in a version; one that knows no sessions names everything."""
        if version.API_VERSION < FIRST_VERSION:
            return self._whole.build(version)
        made = super().build(version)
        made.session_id, made.session_epoch = self._asked.session, self._asked.epoch
        made.forgotten_topics_data = self._asked.forgotten
        return made


class FetchSessions:
    """The sessions of one consumer, one for each broker."""

    def __init__(self) -> None:
        self._of: defaultdict[int, FetchSession] = defaultdict(FetchSession)

    async def fetch(self, send: Any, node_id: int, request: FetchRequest, **group: Any) -> Any:
        """Send a fetch by `send`, in its broker's session; return what is answered, and raise what `send` does."""
        session = self._of[node_id]
        response = await self._asked(session, send, node_id, request, **group)
        if response.API_VERSION < FIRST_VERSION or session.answered(response.error_code, response.session_id):
            return response
        response = await self._asked(session, send, node_id, request, **group)
        session.answered(response.error_code, response.session_id)
        return response

    async def _asked(self, session: FetchSession, send: Any, node_id: int, request: FetchRequest, **group: Any) -> Any:
        try:
            return await send(node_id, SessionFetch(request, session.ask(request.topics)), **group)
        except BaseException:
            session.lost()
            raise


def _by_topic(entries: Iterable[tuple[str, Any]]) -> list[tuple[str, list[Any]]]:
    topics: defaultdict[str, list[Any]] = defaultdict(list)
    for topic, entry in entries:
        topics[topic].append(entry)
    return list(topics.items())
