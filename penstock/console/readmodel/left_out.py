"""Workflows that are not followed, because something in their topics cannot be read: which, why, and when each is tried again."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

AGAIN_AFTER_S = 60.0
"""An ACL may be granted, a topic made anew."""


class LeftOut:
    """The workflows that are left out now, and the reasons that are shown: one that is tried again keeps its reason until it was read."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._now: set[str] = set()
        self._again_at = 0.0

    def __contains__(self, workflow: str) -> bool:
        """Say whether a workflow is left out now."""
        return workflow in self._now

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each cannot be read, by workflow."""
        return dict(self._reasons)

    def add(self, workflow: str, reason: str, now: float) -> None:
        """Leave a workflow out from now on."""
        if self._reasons.get(workflow) != reason:
            log.warning("a workflow cannot be read and is left out", workflow=workflow, reason=reason)
        if not self._now:
            self._again_at = now + AGAIN_AFTER_S
        self._reasons[workflow] = reason
        self._now.add(workflow)

    def are_due(self, now: float) -> bool:
        """Say whether it is time to try again; then all are."""
        if not self._now or now < self._again_at:
            return False
        self._now.clear()
        return True

    def caught_up(self) -> None:
        """Drop the reasons of those that were read after all."""
        self._reasons = {workflow: reason for workflow, reason in self._reasons.items() if workflow in self._now}

    def forget(self, workflow: str) -> None:
        """Drop a workflow that is gone or made anew."""
        self._now.discard(workflow)
        self._reasons.pop(workflow, None)
