"""Namespaces that are being deleted: empties them, then lets them go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import set_condition, with_status
from pytest_selfrep.kubesim.kinds import ANY_CUSTOM, EVENT, KINDS, NAMESPACE, Kind
from pytest_selfrep.kubesim.objects import Key, Object, conditions_of, is_terminating, key_of
from pytest_selfrep.kubesim.store import Change

FINALIZER = "kubernetes"
GRACE = 5.0
"""Seconds for which a terminating namespace keeps what is in it, as in a real controller manager."""

# Condition type to (reason, message) while all is well; in the order in which a namespace shows them.
_FINE = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


class NamespaceController:
    """Deletes all objects of terminating namespaces; removes the finalizer once none is left."""

    name = "namespace-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._terminating: set[str] = set()

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        content = [kind for kind in KINDS if kind.namespaced]
        return {
            NAMESPACE: self._on_namespace,
            **dict.fromkeys((*content, ANY_CUSTOM), self._on_content),
        }

    def _on_namespace(self, change: Change) -> Iterable[Key]:
        key = key_of(change.object)
        if change.type == "DELETED" or not is_terminating(change.object):
            self._terminating.discard(key.name)
            return ()
        if key.name not in self._terminating:
            self._terminating.add(key.name)
            self._context.queue.add_after(self, key, GRACE)
        return (key,)

    def _on_content(self, change: Change) -> Iterable[Key]:
        if not self._terminating:
            return ()
        namespace = change.object["metadata"].get("namespace", "")
        return (Key("", namespace),) if namespace in self._terminating else ()

    def reconcile(self, key: Key) -> None:
        namespace = self._context.store.get(NAMESPACE, key)
        if namespace is None or not self._is_due(namespace):
            return
        # Events last: deleting the rest makes new ones, as it does in a real cluster.
        kinds = [kind for kind in self._context.kinds.stored if kind.namespaced]
        for kind in sorted(kinds, key=lambda kind: kind is EVENT):
            for obj in self._context.store.list(kind, key.name):
                if not is_terminating(obj):
                    self._writer.delete(kind, key_of(obj), propagation="Background")
        left = {kind: found for kind in kinds if (found := self._left(kind, key.name))}
        namespace = self._context.store.get(NAMESPACE, key)
        if namespace is None:
            return
        if left:
            self._report(namespace, left)
        elif FINALIZER in (namespace["spec"].get("finalizers") or ()):
            remaining = [each for each in namespace["spec"]["finalizers"] if each != FINALIZER]
            spec = {**namespace["spec"], "finalizers": remaining}
            emptied = {**namespace, "metadata": dict(namespace["metadata"]), "spec": spec}
            self._writer.update(NAMESPACE, emptied)

    def _is_due(self, namespace: Object) -> bool:
        since = namespace["metadata"].get("deletionTimestamp")
        clock = self._context.clock
        return since is not None and clock.now >= clock.seconds_at(since) + GRACE

    def _left(self, kind: Kind, namespace: str) -> list[Object]:
        return self._context.store.list(kind, namespace) if self._context.store.count(kind, namespace) else []

    def _report(self, namespace: Object, left: Mapping[Kind, list[Object]]) -> None:
        counts = ", ".join(
            f"{kind.resource}{'' if kind.group else '.'} has {len(left[kind])} resource instances"
            for kind in sorted(left, key=lambda kind: kind.resource)
        )
        said = {name: ("False", *words) for name, words in _FINE.items()}
        said["NamespaceContentRemaining"] = (
            "True",
            "SomeResourcesRemain",
            f"Some resources are remaining: {counts}",
        )
        finalizers = self._finalizers(left)
        if finalizers:
            said["NamespaceFinalizersRemaining"] = (
                "True",
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {finalizers}",
            )
        conditions = list(conditions_of(namespace))
        for name, words in said.items():
            conditions = set_condition(conditions, name, *words, self._context.clock.timestamp())
        status = {**namespace["status"], "conditions": conditions}
        if status != namespace["status"]:
            self._writer.update_status(NAMESPACE, with_status(namespace, status))

    @staticmethod
    def _finalizers(left: Mapping[Kind, list[Object]]) -> str:
        counts: dict[str, int] = {}
        for found in left.values():
            for obj in found:
                for finalizer in obj["metadata"].get("finalizers") or ():
                    counts[finalizer] = counts.get(finalizer, 0) + 1
        return ", ".join(f"{name} in {counts[name]} resource instances" for name in sorted(counts))
