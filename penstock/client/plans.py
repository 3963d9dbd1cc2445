"""What is recorded of a workflow's current version, for those who have its id alone."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.client import connections, reading
from schemas.codec import loads
from streams.engine.config import EngineConfig
from topology.naming import plan_key, plans_topic
from topology.plan import ClaimCheck, WorkflowPlan
from topology.versions import UnreadablePlan, plan_from_json


async def current_plan(config: EngineConfig, workflow: str, topics: Mapping[str, int]) -> WorkflowPlan | None:
    """Return the version that new runs begin with, None if none is recorded, or none that this version of Penstock understands."""
    if plans_topic() not in topics:
        return None
    prefix, last = plan_key(workflow, "").encode(), None
    async with connections.reader(config) as reader, connections.answering(config):
        async for record in reading.to_end(reader, reading.places_of(plans_topic(), topics[plans_topic()])):
            if record.key is not None and record.key.startswith(prefix) and record.value is not None:
                last = record.value
    try:
        return None if last is None else plan_from_json(loads(last)["plan"])
    except (ValueError, KeyError, TypeError, UnreadablePlan):
        return None


async def claim_check_of(config: EngineConfig, workflow: str, topics: Mapping[str, int]) -> ClaimCheck | None:
    """Return where a workflow's large inputs go."""
    plan = await current_plan(config, workflow, topics)
    return None if plan is None else plan.claim_check
