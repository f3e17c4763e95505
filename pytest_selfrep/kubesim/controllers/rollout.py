"""The arithmetic of rollouts: how many replicas each ReplicaSet of a Deployment may have now."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

import orjson

from pytest_selfrep.kubesim.controllers.common import resolve
from pytest_selfrep.kubesim.decoding.gonumbers import int_or
from pytest_selfrep.kubesim.names import safe_encode
from pytest_selfrep.kubesim.objects import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"

Resize = tuple[Object, int]
"""A ReplicaSet and the replicas it should have."""


def template_hash(template: Object, collisions: int = 0) -> str:
    """The pod-template-hash: the same for equal templates, spelled as Kubernetes spells its hashes."""
    data = orjson.dumps([template, collisions], option=orjson.OPT_SORT_KEYS)
    return safe_encode(zlib.crc32(data))


def without_hash(template: Object) -> Object:
    """A ReplicaSet's template as its Deployment had it."""
    meta = template.get("metadata") or {}
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH_LABEL}
    return {**template, "metadata": {**meta, "labels": labels}}


def replicas(replica_set: Object) -> int:
    return int(replica_set["spec"]["replicas"])


def status_of(replica_set: Object, name: str) -> int:
    return int((replica_set.get("status") or {}).get(name, 0))


def total(replica_sets: Sequence[Object]) -> int:
    return sum(replicas(each) for each in replica_sets)


def is_rolling(deployment: Object) -> bool:
    return bool(deployment["spec"]["strategy"]["type"] == "RollingUpdate")


def bounds(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods; both being 0 would stop any rollout, so one may then be missing."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    return _bounds(replicas(deployment), rolling.get("maxSurge", "25%"), rolling.get("maxUnavailable", "25%"))


@lru_cache(maxsize=1024)
def _bounds(wanted: int, max_surge: int | str, max_unavailable: int | str) -> tuple[int, int]:
    surge = resolve(max_surge, wanted, round_up=True)
    unavailable = resolve(max_unavailable, wanted, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, wanted)


def max_total(deployment: Object) -> int:
    """The most pods that a Deployment may have while it rolls out."""
    return replicas(deployment) + bounds(deployment)[0]


def room_for_new(deployment: Object, every: Sequence[Object], new_replicas: int) -> int:
    """The replicas that the new ReplicaSet may have, given what all of them ask for."""
    wanted = replicas(deployment)
    if not is_rolling(deployment):
        return wanted
    room = max_total(deployment) - total(every)
    return new_replicas + max(0, min(room, wanted - new_replicas))


def shrink_old(deployment: Object, old: Sequence[Object], new: Object) -> Iterator[Resize]:
    """The next resizes of old ReplicaSets: unhealthy replicas first, then as many as availability spares."""
    every = [*old, new]
    least_available = replicas(deployment) - bounds(deployment)[1]
    new_unavailable = replicas(new) - status_of(new, "availableReplicas")
    spare = total(every) - least_available - new_unavailable
    if spare <= 0 or total(old) == 0:
        return
    oldest_first = sorted(old, key=_creation)
    sizes = {each["metadata"]["name"]: replicas(each) for each in oldest_first}
    for each in oldest_first:
        size = sizes[each["metadata"]["name"]]
        unhealthy = min(spare, size - min(size, status_of(each, "availableReplicas")))
        sizes[each["metadata"]["name"]] -= unhealthy
        spare -= unhealthy
    available = sum(status_of(each, "availableReplicas") for each in every)
    spare = max(0, available - least_available)
    for each in oldest_first:
        down = min(spare, sizes[each["metadata"]["name"]])
        sizes[each["metadata"]["name"]] -= down
        spare -= down
    for each in oldest_first:
        if sizes[each["metadata"]["name"]] != replicas(each):
            yield each, sizes[each["metadata"]["name"]]


def spread(deployment: Object, active: Sequence[Object]) -> list[Resize]:
    """The resizes when a Deployment is scaled amid a rollout: in proportion to each ReplicaSet's size."""
    allowed = max_total(deployment) if replicas(deployment) else 0
    to_add = allowed - total(active)
    biggest_first = sorted(active, key=lambda each: (-replicas(each), _creation(each)))
    if to_add > 0:
        biggest_first = sorted(active, key=_creation, reverse=True)
        biggest_first.sort(key=replicas, reverse=True)
    sizes = []
    added = 0
    for each in biggest_first:
        share = 0
        if to_add and replicas(each):
            share = _proportion(deployment, each, allowed, to_add, added)
            added += share
        sizes.append(replicas(each) + share)
    if sizes:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(biggest_first, sizes, strict=True))


def _proportion(deployment: Object, each: Object, allowed: int, to_add: int, added: int) -> int:
    annotated = (each["metadata"].get("annotations") or {}).get(MOST)
    before = int_or(annotated, 0) or max_total(deployment)
    size = replicas(each)
    fraction = (size * allowed * 2 + before) // (before * 2) - size if replicas(deployment) else -size
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def revision(obj: Object) -> int:
    return int_or((obj["metadata"].get("annotations") or {}).get(REVISION), 0)


def surplus_history(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """Old ReplicaSets beyond the revision history limit, idle ones only, oldest revisions first."""
    excess = len(old) - deployment["spec"].get("revisionHistoryLimit", 10)
    if excess <= 0:
        return []
    return [each for each in sorted(old, key=revision)[:excess] if _is_idle(each)]


def _is_idle(replica_set: Object) -> bool:
    generation = replica_set["metadata"].get("generation", 0)
    return (
        replicas(replica_set) == 0
        and status_of(replica_set, "replicas") == 0
        and status_of(replica_set, "observedGeneration") >= generation
    )


def _creation(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]
