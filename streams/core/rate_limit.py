"""A rate limit, pure: whether a call may be made now, and if not when to come back.

aiolimiter can only wait, within a task that then holds its place; here a call that has to wait goes back to the log until the
time it is told. Those told a time go before those that come new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUTE_MS = 60_000


@dataclass(slots=True)
class RateLimit:
    """A token bucket of `per_minute` units that holds at least one call and at most a second's worth. `now` in ms."""

    per_minute: float
    level: float | None = None
    _at: int = 0
    _booked_to: float = 0.0
    """When the bucket will be empty, once all that is booked has been taken."""

    @property
    def rate(self) -> float:
        """Units per ms."""
        return self.per_minute / MINUTE_MS

    def take(self, units: float, now: int, *, returning: bool) -> int | None:
        """Take `units` and return None, or return the time to come back; `returning` was told a time before."""
        until = self.wait(units, now, returning=returning)
        if until is None:
            self.use(units)
        return until

    def wait(self, units: float, now: int, *, returning: bool) -> int | None:
        """Return None if `units` can be taken now, else the time to come back, which is then booked; nothing is taken."""
        # A call dearer than the bucket goes when it is full and leaves it in debt: it could never go otherwise.
        need = min(units, self._capacity)
        short, own = (need - self._filled(now)) / self.rate, need / self.rate
        if returning and short <= own / 2:  # its turn: it keeps its place, though a little is missing
            return None if short <= 0 else now + math.ceil(short)
        if short <= 0 and self._booked_to <= now:
            return None
        # Whoever returns and was promised nothing here (a breaker had told it a time) stands in line as well: a crowd that is
        # told one moment comes back as a whole for each call that is made.
        begin = now + max(0.0, short)
        if self._booked_to > now:
            begin = max(begin, self._booked_to + own)
        self._booked_to = begin + (units - need) / self.rate
        return int(begin) + 1

    def use(self, units: float) -> None:
        """Take `units`."""
        self.level = (self._capacity if self.level is None else self.level) - units

    def correct(self, units: float) -> None:
        """Take `units` more than estimated, or give back what was estimated too much."""
        if self.level is not None:
            self.level = min(self._capacity, self.level - units)

    @property
    def _capacity(self) -> float:
        return max(1.0, self.per_minute / 60)

    def _filled(self, now: int) -> float:
        if self.level is None:
            self.level, self._at = self._capacity, now
        elapsed = max(0, now - self._at)
        self.level = min(self._capacity, self.level + elapsed * self.rate)
        self._at = max(now, self._at)
        return self.level
