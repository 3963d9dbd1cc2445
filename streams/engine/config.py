"""How an engine runs: what a worker's operator may tune, with the reason for each default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.claims.claims import Claims
from streams.sealing.keyring import Keyring
from topology.sizes import DEAD_LETTER_EXTRA, MAX_RECORD_BYTES, Sizes

if TYPE_CHECKING:
    from streams.engine.wire import Wire

__all__ = ["DEAD_LETTER_EXTRA", "MAX_RECORD_BYTES", "EngineConfig"]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one engine. Times are in ms unless the name says otherwise."""

    bootstrap: str
    partitions: int | None = None
    """None: what the workflow's topics have, else the plan's default."""
    commit_interval_ms: int = 200
    """How much is read again after a crash; repeats are dropped, so this is about work, not safety."""
    max_poll_records: int = 1000
    session_timeout_ms: int = 6_000
    """How long a dead worker's partitions stay with it."""
    heartbeat_interval_ms: int = 1_500
    max_in_flight: int = 10_000
    """Attempts queued or executing above which no new run is taken in; results flow on."""
    drain_timeout_s: float = 30.0
    request_timeout_ms: int = 15_000
    """How long one request may hang: a cut connection is found out this late."""
    delivery_timeout_ms: int = 3_600_000
    """How long a record waits for a broker that is away: the worker keeps what it has and goes on when the broker is back."""
    takeover_timeout_s: float = 600.0
    """How long a takeover may take, or fail again and again, before the worker gives up."""
    resume_from_ms: int | None = None
    """Where to read on when the group has no committed position (epoch ms; 0 is the beginning). None: refuse."""
    lease_folder: Path | None = None
    """Where this machine's workers say that they live, so that the next one can dismiss the dead (predecessors.py)."""
    kafka: Mapping[str, Any] = field(default_factory=dict)
    """aiokafka's own connection settings (security and the like), for every client."""
    create_topics: bool = True
    """Whether what is missing is created; else a worker says what, and does not start."""
    sizes: Sizes = field(default_factory=Sizes)
    """How topics are made: copies, retention, cleanup."""
    claims: Claims | None = None
    """The stores of values that are too large for records. None: there is none."""
    sealing: Keyring | None = None
    """The keys of what travels encrypted, for every client. None: nothing is, and nobody looks."""
    wire: Wire | None = None
    """How records look to a schema registry, None where there is none."""
