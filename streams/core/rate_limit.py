"""A rate limit, pure: whether a call may be made now, and if not when to come back.

aiolimiter can only wait, within a task that then holds its place; here a call that has to wait goes back to the log until the
time it is told. Those told a time go before those that come new.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_MS = 60_000


@dataclass(slots=True)
class RateLimit:
    """A token bucket of `per_minute` units that holds at least one call and at most a second's worth. `now` in ms."""

    per_minute: float
    level: float | None = None
    _at: int = 0
    _booked_to: float = 0.0

    @property
    def rate(self) -> float:
        """Units per ms."""
        return self.per_minute / MINUTE_MS

    def take(self, units: float, now: int, *, returning: bool) -> int | None:
        """Take `units` and return None, or return the time to come back; `returning` was told a time before."""
        level = self._filled(now)
        # A call dearer than the bucket goes when it is full and leaves it in debt: it could never go otherwise.
        enough = level >= min(units, self._capacity)
        queue = self._booked_to > now and not returning
        if enough and not queue:
            self.level = level - units
            return None
        short = max(0.0, min(units, self._capacity) - level) / self.rate
        begin = max(self._booked_to, now + (short if self._booked_to <= now else 0.0))
        self._booked_to = begin + units / self.rate
        return int(begin) + 1

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
