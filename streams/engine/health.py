"""Is the worker alive, and is it ready? Asked from another thread, so that a stuck event loop is found out.

Alive: the event loop turns. A broker that is away does not count: starting again would not bring it back. Ready: every workflow's
partitions are taken over and caught up, and nothing is told to stop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

BEAT_S = 0.5
STALE_S = 10.0
"""How long the loop may stand still: longer than a session, after which others have this worker's partitions anyhow."""


class Workflow(Protocol):
    """What is asked of an engine."""

    def why_not_ready(self) -> str | None:
        """Say what it is waiting for; None if it is ready. Called from another thread."""


class Health:
    """The state of one worker, as its probes see it."""

    def __init__(self, stale_s: float = STALE_S) -> None:
        self._stale_s = stale_s
        self._beat_at = time.monotonic()
        self._workflows: Mapping[str, Workflow] = {}

    def watch(self, workflows: Mapping[str, Workflow]) -> None:
        """Ask these from now on, by workflow id."""
        self._beat_at = time.monotonic()
        self._workflows = dict(workflows)

    async def beat(self) -> None:
        """Show that the loop turns, until cancelled."""
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(BEAT_S)

    def why_not_live(self) -> list[str]:
        """Say why the worker should be started anew."""
        still = time.monotonic() - self._beat_at
        if still < self._stale_s or not self._workflows:  # handlers are imported in the loop: that may take a while
            return []
        return [
            f"the event loop has not turned for {still:.1f} s: something blocks it (an async handler that does not await?)"
        ]

    def why_not_ready(self) -> list[str]:
        """Say what is missing before the worker works."""
        if not self._workflows:
            return ["starting: handlers and providers are loaded"]
        told = ((id_, workflow.why_not_ready()) for id_, workflow in self._workflows.items())
        return self.why_not_live() + [f"workflow {id_!r}: {why}" for id_, why in told if why is not None]

    def routes(self) -> dict[str, Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]]:
        """Return the WSGI application of each path."""
        return {
            "/livez": _answering("live", self.why_not_live),
            "/readyz": _answering("ready", self.why_not_ready),
            "/healthz": _answering("healthy", lambda: [*dict.fromkeys(self.why_not_live() + self.why_not_ready())]),
        }


def _answering(what: str, reasons: Callable[[], Sequence[str]]) -> Callable[..., Iterable[bytes]]:
    def app(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        found = list(reasons())
        body = json.dumps({what: not found, "reasons": found}).encode() + b"\n"
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start("503 Service Unavailable" if found else "200 OK", headers)
        return [b"" if request["REQUEST_METHOD"] == "HEAD" else body]

    return app
