"""Protection of what is in use: claims that pods use and volumes that are bound outlive their deletion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import itself
from pytest_selfrep.kubesim.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, key_of
from pytest_selfrep.kubesim.storage.claims import names_in
from pytest_selfrep.kubesim.store import Change

FINALIZERS: Mapping[Kind, str] = {
    PERSISTENT_VOLUME_CLAIM: "kubernetes.io/pvc-protection",
    PERSISTENT_VOLUME: "kubernetes.io/pv-protection",
}


def protect(kind: Kind, obj: Object) -> None:
    """StorageObjectInUseProtection: give a new object its finalizer, in place."""
    meta = obj["metadata"]
    present = meta.get("finalizers") or []
    if FINALIZERS[kind] not in present:
        meta["finalizers"] = [*present, FINALIZERS[kind]]


def _waits(kind: Kind, obj: Object) -> bool:
    return is_terminating(obj) and FINALIZERS[kind] in (obj["metadata"].get("finalizers") or ())


def _released(kind: Kind, obj: Object) -> Object:
    meta = dict(obj["metadata"])
    meta["finalizers"] = [each for each in meta["finalizers"] if each != FINALIZERS[kind]]
    return {**obj, "metadata": meta}


class ClaimProtection:
    """Lets go of a claim that is being deleted when no pod on a node uses it, finished or not."""

    name = "pvc-protection-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._store = context.store
        self._writer = context.writer(user)
        self._waiting: dict[Key, None] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {PERSISTENT_VOLUME_CLAIM: self._on_claim, POD: self._on_pod}

    def _on_claim(self, change: Change) -> Iterable[Key]:
        key = key_of(change.object)
        if change.type != "DELETED" and _waits(PERSISTENT_VOLUME_CLAIM, change.object):
            self._waiting[key] = None
            return (key,)
        self._waiting.pop(key, None)
        return ()

    def _on_pod(self, change: Change) -> Iterable[Key]:
        if not self._waiting or change.type != "DELETED":
            return ()
        namespace = change.object["metadata"]["namespace"]
        used = (Key(namespace, name) for name in names_in(change.object))
        return [key for key in used if key in self._waiting]

    def reconcile(self, key: Key) -> None:
        claim = self._store.get(PERSISTENT_VOLUME_CLAIM, key)
        if claim is None or not _waits(PERSISTENT_VOLUME_CLAIM, claim):
            return
        for pod in self._store.list(POD, key.namespace):
            if pod["spec"].get("nodeName") and key.name in names_in(pod):
                return
        self._writer.update(PERSISTENT_VOLUME_CLAIM, _released(PERSISTENT_VOLUME_CLAIM, claim))


class VolumeProtection:
    """Lets go of a volume that is being deleted when it is bound no more."""

    name = "pv-protection-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._store = context.store
        self._writer = context.writer(user)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {PERSISTENT_VOLUME: itself}

    def reconcile(self, key: Key) -> None:
        volume = self._store.get(PERSISTENT_VOLUME, key)
        if volume is None or not _waits(PERSISTENT_VOLUME, volume):
            return
        if (volume.get("status") or {}).get("phase") != "Bound":
            self._writer.update(PERSISTENT_VOLUME, _released(PERSISTENT_VOLUME, volume))
