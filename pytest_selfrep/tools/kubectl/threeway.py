"""The patch that ``kubectl apply`` sends: from what was applied last, what is applied now, and what is live.

Additions and changes come from comparing what is applied with what is live; removals from comparing it with
what was applied last, so that fields set by others stay. Lists of objects are merged by the keys that
Kubernetes' strategic merge patch uses.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.clusters.kube import KubeObject

_MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
}
"""Field name to the keys that tell its items apart, the first that an item has."""

_SERVER_OWNED = frozenset(("creationTimestamp", "uid", "generation", "managedFields", "selfLink"))


def three_way(original: KubeObject, modified: KubeObject, current: KubeObject) -> KubeObject:
    """A strategic merge patch; empty when nothing is to change."""
    patch = _merge(original, modified, current)
    patch.pop("status", None)
    meta = patch.get("metadata")
    if isinstance(meta, dict):
        patch["metadata"] = {key: value for key, value in meta.items() if key not in _SERVER_OWNED}
        if not patch["metadata"]:
            del patch["metadata"]
    return patch


def _merge(original: KubeObject, modified: KubeObject, current: KubeObject) -> KubeObject:
    patch: KubeObject = {key: None for key in original if key not in modified and key in current}
    for key, wanted in modified.items():
        live, last = current.get(key), original.get(key)
        if isinstance(wanted, dict) and isinstance(live, dict):
            inner = _merge(last if isinstance(last, dict) else {}, wanted, live)
            if inner:
                patch[key] = inner
        elif isinstance(wanted, list) and isinstance(live, list):
            items = _merge_list(key, last if isinstance(last, list) else [], wanted, live)
            if items:
                patch[key] = items
            elif items is None and wanted != live:
                patch[key] = wanted
        elif wanted != live and not (wanted is None and live is None):
            patch[key] = wanted
    return patch


def _merge_list(
    name: str, last: list[object], wanted: list[object], live: list[object]
) -> list[object] | None:
    """Changes to a list merged by key; None for a list that is replaced as a whole."""
    key = _key_of(name, wanted + live)
    if key is None:
        return None
    by_last, by_live = _by_key(last, key), _by_key(live, key)
    patch: list[object] = []
    for value, item in _by_key(wanted, key).items():
        if value not in by_live:
            patch.append(item)
            continue
        inner = _merge(by_last.get(value, {}), item, by_live[value])
        if inner:
            patch.append({**inner, key: item[key]})
    kept = _by_key(wanted, key)
    for value, item in by_last.items():
        if value not in kept and value in by_live:
            patch.append({"$patch": "delete", key: item[key]})
    return patch


def _key_of(name: str, items: list[object]) -> str | None:
    for key in _MERGE_KEYS.get(name, ()):
        if all(isinstance(item, dict) and key in item for item in items):
            return key
    return None


def _by_key(items: list[object], key: str) -> dict[str, KubeObject]:
    return {str(item[key]): item for item in items if isinstance(item, dict) and key in item}
