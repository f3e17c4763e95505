"""Adoption: controllers take on what their selectors match and let go of what they no longer match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper, Writer
from pytest_selfrep.kubesim.controllers.common import is_active, selects
from pytest_selfrep.kubesim.kinds import (
    BY_KIND,
    DAEMON_SET,
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    controller_of,
    is_terminating,
    key_of,
    labels_of,
    owner_reference,
    owners_of,
)
from pytest_selfrep.kubesim.selectors import selector_of
from pytest_selfrep.kubesim.store import Change

POD_OWNERS = (REPLICATION_CONTROLLER, REPLICA_SET, STATEFUL_SET, DAEMON_SET)
REPLICA_SET_OWNERS = (DEPLOYMENT,)


class Adoption:
    """Keeps the controlling owner of one kind of dependent in line with the selectors of possible owners."""

    def __init__(
        self, context: Context, kind: Kind, owners: tuple[Kind, ...], writers: Mapping[Kind, Writer]
    ) -> None:
        self.name = f"{kind.singular}-adoption"
        self._context = context
        self._kind = kind
        self._owners = owners
        self._writers = writers

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            self._kind: self._on_dependent,
            **dict.fromkeys(self._owners, self._on_owner),
        }

    def _on_dependent(self, change: Change) -> Iterable[Key]:
        obj, old = change.object, change.old
        if change.type == "DELETED":
            return ()
        orphaned = controller_of(obj) is None
        relabelled = old is not None and labels_of(obj) != labels_of(old)
        news = old is None or relabelled or controller_of(old) is not None
        return (key_of(obj),) if (orphaned and news) or relabelled else ()

    def _on_owner(self, change: Change) -> Iterable[Key]:
        if change.type != "ADDED":
            return ()
        namespace, selector = change.object["metadata"]["namespace"], selector_of(change.object)
        return tuple(
            key_of(each)
            for each in self._context.store.list(self._kind, namespace)
            if controller_of(each) is None and selects(selector, labels_of(each))
        )

    def reconcile(self, key: Key) -> None:
        obj = self._context.store.get(self._kind, key)
        if obj is None or is_terminating(obj):
            return
        owner = controller_of(obj)
        if owner is not None:
            self._release(obj, owner)
        elif self._kind is not POD or is_active(obj):
            self._adopt(obj)

    def _adopt(self, obj: Object) -> None:
        labels = labels_of(obj)
        if not labels:
            return
        for kind in self._owners:
            for owner in self._context.store.list(kind, obj["metadata"]["namespace"]):
                if not is_terminating(owner) and selects(selector_of(owner), labels):
                    self._write(kind, obj, [*owners_of(obj), owner_reference(owner)])
                    return

    def _release(self, obj: Object, reference: Object) -> None:
        kind = BY_KIND.get((reference["apiVersion"], reference["kind"]))
        if kind not in self._owners:
            return
        owner = self._context.store.get(kind, Key(obj["metadata"]["namespace"], reference["name"]))
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return
        if not selects(selector_of(owner), labels_of(obj)):
            self._write(kind, obj, [each for each in owners_of(obj) if each["uid"] != reference["uid"]])

    def _write(self, kind: Kind, obj: Object, owners: list[Object]) -> None:
        meta = {name: value for name, value in obj["metadata"].items() if name != "ownerReferences"}
        if owners:
            meta["ownerReferences"] = owners
        self._writers[kind].update(self._kind, {**obj, "metadata": meta})
