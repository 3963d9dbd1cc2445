"""JSON merge patch (RFC 7396): what `--edit` says."""

from __future__ import annotations

from typing import Any

from schemas.claims import Claim


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` as `patch` wants it: objects are merged, null removes a member, anything else replaces.

    What is in a claim store takes the patch along.
    """
    if not isinstance(patch, dict):
        return patch
    if isinstance(target, Claim):
        return target.edited(patch)  # applied when it is read
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
