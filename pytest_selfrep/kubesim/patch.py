"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

from pytest_selfrep.kubesim.objects import Json


def merge(target: Json, patch: Json) -> Json:
    """What ``target`` becomes; neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged
