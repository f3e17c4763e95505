"""Garbage collection: dependents go when their owners do, and foreground owners wait for their dependents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.kinds import ANY_CUSTOM, EVENT, KINDS, LEASE, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, key_of, owners_of
from pytest_selfrep.kubesim.registry import FOREGROUND, ORPHAN
from pytest_selfrep.kubesim.store import Change


class GarbageCollector:
    """Works on owners: its keys are ``Key("", uid)`` of one, which may be gone or may never have been."""

    name = "generic-garbage-collector"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._terminating: dict[str, tuple[Kind, Key]] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        collected = [kind for kind in KINDS if kind not in (EVENT, LEASE)]
        return dict.fromkeys((*collected, ANY_CUSTOM), self._owners_concerned)

    def _owners_concerned(self, change: Change) -> Iterable[Key]:
        obj, meta = change.object, change.object["metadata"]
        uid = meta["uid"]
        gone = change.type == "DELETED"
        if gone and self._context.store.owned_by(uid):
            yield Key("", uid)
        if "deletionTimestamp" in meta:
            if gone:
                self._terminating.pop(uid, None)
            elif not {FOREGROUND, ORPHAN}.isdisjoint(meta.get("finalizers") or ()):
                self._terminating[uid] = change.kind, key_of(obj)
                yield Key("", uid)
        owners = meta.get("ownerReferences")
        if owners and (gone or change.old is None or owners != owners_of(change.old)):
            for owner in owners:
                if owner["uid"] in self._terminating or not (gone or self._exists(owner, meta)):
                    yield Key("", owner["uid"])

    def reconcile(self, key: Key) -> None:
        located = self._terminating.get(key.name)
        owner = self._context.store.get(*located) if located is not None else None
        if located is None or owner is None or owner["metadata"]["uid"] != key.name:
            self._collect(key.name)
            return
        finalizers = owner["metadata"].get("finalizers") or []
        if ORPHAN in finalizers:
            for kind, dependent in self._context.store.owned_by(key.name):
                self._disown(kind, dependent, {key.name})
            self._finish(located[0], owner, ORPHAN)
        elif FOREGROUND in finalizers and not self._delete_dependents(key.name):
            self._finish(located[0], owner, FOREGROUND)

    def _exists(self, owner: Object, meta: Object) -> bool:
        """Whether an owner exists; of kinds unknown here nothing is known, so nothing is collected."""
        kind = self._context.kinds.of_object(owner["apiVersion"], owner["kind"])
        if kind is None or (kind.namespaced and not meta.get("namespace")):
            return True
        found = self._context.store.get(
            kind, Key(meta["namespace"] if kind.namespaced else "", owner["name"])
        )
        return found is not None and found["metadata"]["uid"] == owner["uid"]

    def _collect(self, uid: str) -> None:
        """Delete the dependents of an owner that is gone, but those that another owner keeps."""
        for kind, dependent in self._context.store.owned_by(uid):
            meta = dependent["metadata"]
            absent = {each["uid"] for each in owners_of(dependent) if not self._exists(each, meta)}
            if uid not in absent:
                continue
            if len(absent) < len(owners_of(dependent)):
                self._disown(kind, dependent, absent)
            elif not is_terminating(dependent):
                self._writer.delete(kind, key_of(dependent), propagation=self._policy(dependent))

    @staticmethod
    def _policy(dependent: Object) -> str:
        """Dependents carry on as they themselves were asked to be deleted."""
        finalizers = dependent["metadata"].get("finalizers") or []
        if ORPHAN in finalizers:
            return "Orphan"
        return "Foreground" if FOREGROUND in finalizers else "Background"

    def _delete_dependents(self, uid: str) -> bool:
        """Delete what hangs on a foreground owner; whether some of it still blocks the owner."""
        blocked = False
        for kind, dependent in self._context.store.owned_by(uid):
            blocking = any(
                each.get("blockOwnerDeletion") for each in owners_of(dependent) if each["uid"] == uid
            )
            if any(self._keeps(each, dependent["metadata"]) for each in owners_of(dependent)):
                self._disown(kind, dependent, {uid})
                continue
            if not is_terminating(dependent):
                more = self._context.store.owned_by(dependent["metadata"]["uid"])
                policy = "Foreground" if more else "Background"
                self._writer.delete(kind, key_of(dependent), propagation=policy)
            still = self._context.store.get(kind, key_of(dependent))
            blocked |= blocking and still is not None
        return blocked

    def _keeps(self, owner: Object, meta: Object) -> bool:
        """Whether an owner is there to stay."""
        return owner["uid"] not in self._terminating and self._exists(owner, meta)

    def _disown(self, kind: Kind, dependent: Object, uids: set[str]) -> None:
        meta = dict(dependent["metadata"])
        kept = [each for each in owners_of(dependent) if each["uid"] not in uids]
        if kept:
            meta["ownerReferences"] = kept
        else:
            meta.pop("ownerReferences", None)
        self._writer.update(kind, {**dependent, "metadata": meta})

    def _finish(self, kind: Kind, owner: Object, finalizer: str) -> None:
        meta = dict(owner["metadata"])
        meta["finalizers"] = [each for each in meta["finalizers"] if each != finalizer]
        self._terminating.pop(meta["uid"], None)
        self._writer.update(kind, {**owner, "metadata": meta})
