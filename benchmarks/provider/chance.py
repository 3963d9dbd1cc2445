"""Seeded draws: the same seed, request and count give the same numbers in any order of arrival."""

from __future__ import annotations

import math
from hashlib import blake2b
from statistics import NormalDist

from benchmarks.provider.config import Latency

_NORMAL = NormalDist()


class Draws:
    """Eight uniform numbers in [0, 1) from one hash, then more from the next one."""

    __slots__ = ("_block", "_name", "_used")

    def __init__(self, *name: object) -> None:
        self._name = "/".join(map(str, name)).encode()
        self._block = blake2b(self._name).digest()
        self._used = 0

    def uniform(self) -> float:
        """Return the next number."""
        if self._used == 8:
            self._block = blake2b(self._block + self._name).digest()
            self._used = 0
        start = self._used * 8
        self._used += 1
        return int.from_bytes(self._block[start : start + 7], "big") / 2**56

    def below(self, count: int) -> int:
        """Return an integer in [0, count)."""
        return int(self.uniform() * count)


def delay_s(latency: Latency, draws: Draws) -> float:
    """Draw how long the answer takes."""
    if latency.kind == "fixed":
        return latency.a / 1000
    if latency.kind == "uniform":
        return (latency.a + (latency.b - latency.a) * draws.uniform()) / 1000
    normal = _NORMAL.inv_cdf(min(max(draws.uniform(), 1e-12), 1 - 1e-12))
    return min(latency.a * math.exp(latency.b * normal), latency.max_ms) / 1000
