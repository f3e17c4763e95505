"""Events about objects, counted up when they repeat (client-go's recorder)."""

from __future__ import annotations

from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import EVENT, NAMESPACE
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, object_reference
from pytest_selfrep.kubesim.store import Store

MOST_SIMILAR = 10
"""Events that differ in their message only; further ones are counted up as one."""
COMBINED = "(combined from similar events): "

_COMPONENTS = {
    "system:kube-scheduler": "default-scheduler",
    "system:serviceaccount:kube-system:daemon-set-controller": "daemonset-controller",
    "system:serviceaccount:kube-system:persistent-volume-binder": "persistentvolume-controller",
    "system:serviceaccount:local-path-storage:local-path-provisioner-service-account": (
        "rancher.io/local-path"
    ),
}
"""Where the component of events is not the last part of its user's name."""


def source_of(user: str) -> Object:
    """The ``source`` of events that a component's user writes."""
    if user.startswith("system:node:"):
        return {"component": "kubelet", "host": user.removeprefix("system:node:")}
    return {"component": _COMPONENTS.get(user) or user.rpartition(":")[2]}


class Recorder:
    """Writes events for all components. Straight into the store: nothing admits or refuses them."""

    def __init__(self, store: Store, clock: Clock, names: Names) -> None:
        self._store = store
        self._clock = clock
        self._names = names
        self._written: dict[tuple[str, ...], Key] = {}
        self._similar: dict[tuple[str, ...], dict[str, None]] = {}

    def record(
        self,
        user: str,
        about: Object,
        type_: str,
        reason: str,
        message: str,
        field_path: str = "",
        author: Author | None = None,
    ) -> Object | None:
        """The event as stored; None if there is no namespace that could take it.

        ``field_path`` names the part of the object that it is about, such as ``spec.containers{web}``.
        """
        meta = about["metadata"]
        namespace = meta.get("namespace") or "default"
        home = self._store.get(NAMESPACE, Key("", namespace))
        if home is None or is_terminating(home):
            return None
        alike = (user, about["kind"], namespace, meta["name"], meta["uid"], type_, reason)
        messages = self._similar.setdefault(alike, {})
        messages[message] = None
        combined = len(messages) >= MOST_SIMILAR
        same = (*alike, field_path, COMBINED if combined else message)
        known = self._written.get(same)
        old = self._store.get(EVENT, known) if known else None
        if combined:
            message = COMBINED + message
        if old is not None:
            return self._count_up(old, message, author)
        event = self._event(user, about, namespace, type_, reason, message)
        if field_path:
            event["involvedObject"]["fieldPath"] = field_path
        self._written[same] = Key(namespace, event["metadata"]["name"])
        return self._store.put(EVENT, event, author)

    def _count_up(self, old: Object, message: str, author: Author | None) -> Object:
        new = {
            **old,
            "metadata": {**old["metadata"]},
            "message": message,
            "count": old["count"] + 1,
            "lastTimestamp": self._clock.timestamp(),
        }
        return self._store.put(EVENT, new, author)

    def _event(
        self, user: str, about: Object, namespace: str, type_: str, reason: str, message: str
    ) -> Object:
        meta, now, source = about["metadata"], self._clock.timestamp(), source_of(user)
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": f"{meta['name']}.{self._clock.unix_nanoseconds() + self._store.revision:x}",
                "namespace": namespace,
                "uid": self._names.uid(),
                "creationTimestamp": now,
            },
            "involvedObject": object_reference(about),
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": type_,
            "eventTime": None,
            "reportingComponent": source["component"],
            "reportingInstance": source.get("host", ""),
        }
