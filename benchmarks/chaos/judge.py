"""The judge's part: the auditor for every workflow, once all is quiet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from penstock.client import workflows as known_workflows
from streams.audit.audit import Terms
from streams.audit.read import audit_workflow
from streams.audit.report import Report
from streams.engine.config import EngineConfig

COMMITTED_WITHIN_S = 20
"""Offsets are committed every 200 ms; then nothing changes any more."""


async def audit_all(bootstrap: str, workflows: Sequence[str]) -> dict[str, Report]:
    """Audit each workflow; while its offsets are not all committed yet, again for a while."""
    return {workflow: await _settled(EngineConfig(bootstrap), workflow) for workflow in workflows}


async def _settled(config: EngineConfig, workflow: str) -> Report:
    last = time.monotonic() + COMMITTED_WITHIN_S
    while True:
        topics = await known_workflows.topics_on(config)
        report = await audit_workflow(config, workflow, topics, Terms())
        if not any(violation.code.startswith("b.") for violation in report.violations) or time.monotonic() > last:
            return report
        await asyncio.sleep(1)
