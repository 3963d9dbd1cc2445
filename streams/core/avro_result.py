"""Results as Avro, by the schema that follows from the workflow: the registry's id takes the place of ours before they go out."""

from __future__ import annotations

from typing import Any

from schemas.avro_json import Misfit
from schemas.claims import Holding, a_claim_in, value_of
from schemas.records import Json
from schemas.registered import OUTPUT_ID, Codec
from topology.plan import WorkflowPlan
from topology.result_schema import MISFITS, result_avro

_codecs: dict[str, Codec] = {}
"""By plan hash. All versions of a workflow have one schema of results: it follows from the structure."""


def as_avro(plan: WorkflowPlan, text: Json) -> bytes:
    """Return a result, given as JSON; outputs that do not fit their type, and claims, stand beside the others, as JSON texts."""
    codec = _codecs.get(plan.plan_hash)
    if codec is None:
        codec = _codecs[plan.plan_hash] = Codec(result_avro(plan))
    result = value_of(text)
    if not a_claim_in(result):
        try:
            return codec.encode(result, OUTPUT_ID)
        except Misfit:
            pass
    fits = {name: one for name, one in result["outputs"].items() if _fits(codec, result, name)}
    others = {name: one for name, one in result["outputs"].items() if name not in fits}
    return codec.encode({**result, "outputs": fits, MISFITS: others}, OUTPUT_ID)


def _fits(codec: Codec, result: dict[str, Any], name: str) -> bool:
    if a_claim_in(Holding({name: result["outputs"][name]})):
        return False
    try:
        codec.encode({**result, "outputs": {name: result["outputs"][name]}}, OUTPUT_ID)
    except Misfit:
        return False
    return True
